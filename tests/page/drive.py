"""See tests/page.sh. Each check is a sentence that holds or does not; the rest goes on."""

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy
from astropy.io import fits

import night
from browser import Browser

HERE = Path(__file__).parent
PAST = 10_000
STAR, GALAXY = [226, 30, 38], [255, 158, 27]


class Checks:
    passed = failed = 0

    def __call__(self, sentence, holds, *shown):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        print("ok     " if holds else "FAILED ", sentence, "" if holds else f": {shown}", flush=True)

    def part(self, function, *arguments):
        try:
            function(*arguments)
        except Exception:
            self.failed += 1
            print("FAILED ", function.__name__, traceback.format_exc(), flush=True)


check = Checks()


def open_page(browser, daemon):
    browser.visit(daemon.url)
    browser.until("the fields", "document.querySelectorAll('#list tbody tr').length")
    audit = (HERE / "audit.js").read_text()
    return lambda call: browser.js(f"{audit}\nreturn {call};")


def what_is_there(browser, daemon, audit):
    text = browser.js("return document.body.innerText")
    record = daemon.json("api/now")
    check("the model in force is named", f"model {record['about']['model_version']}" in text)
    counts = browser.js("return document.getElementById('counts').innerText")
    check("fields are counted", f"{PAST + 1:,}" in counts, counts)
    check("classes are counted with their shares", all(w in counts for w in ("Stars", "Galaxies", "%)")), counts)
    stages = browser.js("return [...document.querySelectorAll('#stages tbody tr')].map(r => r.cells[0].textContent)")
    check("each stage has its line", stages == ["ingest", "prepare", "segment", "extract", "classify", "publish"], stages)
    check("readiness is told", browser.until("readiness", "document.getElementById('ready').textContent") == "It is ready.")
    charts = browser.js("return [...document.querySelectorAll('#charts svg')].map(s => [s.getAttribute('aria-label'), s.querySelectorAll('path').length])")
    check("three charts have five bands each", [n for _, n in charts] == [10, 10, 10], charts)
    check("a chart says in words what it shows", "Seeing" in charts[0][0] and "Last: u " in charts[0][0], charts)
    drift = browser.js("return document.getElementById('drifts').innerText")
    check("drift is not claimed where it is not measured", drift == "Not measured.", drift)
    effective = browser.js("return document.getElementById('effective').textContent")
    check("the configuration in force is shown", "settle_s = 0.3" in effective and "# model: " in effective, effective[:300])
    answers = [daemon.ask(p) for p in ("api/configuration", "api/now", "api/fields", "metrics", "")]
    check("no secret is in any answer", not any(night.SECRET.encode() in a for a in answers))
    lengths = [len(daemon.ask(p)) for p in ("api/now", "api/fields?limit=200", "api/quality", "api/fields?text=9")]
    check("no answer grows with the fields", max(lengths) < 500_000, lengths)


def ten_thousand(browser):
    rows = lambda: browser.js("return [...document.querySelectorAll('#list tbody a')].map(a => a.textContent)")
    matching = lambda: browser.js("return document.getElementById('matching').textContent")
    check("a page of 50 is shown of all", (len(rows()), matching()) == (50, f"1 to 50 of {PAST + 2:,} fields"), matching())
    first = rows()
    browser.click("#older")
    browser.until("the second page", "document.getElementById('matching').textContent.startsWith('51 to 100')")
    check("the second page holds others", not set(first) & set(rows()))
    browser.click("#newest")
    browser.until("the first page", "document.getElementById('matching').textContent.startsWith('1 to 50')")
    check("and back", rows() == first)
    browser.type("#text", "-7777")
    browser.press("enter")
    browser.until("the one", "document.querySelectorAll('#list tbody tr').length === 1")
    check("a name is found among all", rows()[0].endswith("-7777") and matching() == "1 to 1 of 1 fields", rows(), matching())
    check("a screen reader hears how many", browser.js("return document.getElementById('told').textContent") == matching())
    browser.click("#filter button[type=reset]")
    browser.until("all again", "document.querySelectorAll('#list tbody tr').length === 50")
    browser.click("#reasons button")
    browser.until("the rejected ones", "document.querySelectorAll('#list tbody tr').length === 1")
    check("a click on a reason shows those rejected for it", rows() == ["999999-1-0001"], rows())
    browser.click("#filter button[type=reset]")
    browser.until("all again", "document.querySelectorAll('#list tbody tr').length === 50")
    check("what a stranger wrote is text", "<script>window.hacked=1</script>" in browser.js("return document.getElementById('refused').innerText"))
    check("and no markup of it came to life", browser.js("return [window.hacked ?? 0, document.querySelectorAll('main img[src=x], main script').length]") == [0, 0])


def a_field_and_its_masks(browser, audit, out, image):
    browser.js("document.querySelector(`#list a[href='#field=${arguments[0]}']`).focus()", image)
    browser.press("enter")
    loaded = "(l => { const i = document.querySelector(`#stack img[data-layer=${l}]`); return i?.complete && i.naturalWidth })(arguments[0])"
    for layer in ("image", "outlines"):
        browser.until(layer, loaded, layer)
    masks = {hdu.name: hdu.data for hdu in fits.open(out / f"{image}.masks.fits")[1:]}
    size = browser.until("the picture", loaded, "image"), masks["CLASS"].shape[1]
    check("the picture is the field's", size[0] == size[1], size)
    check("classes are not shown unasked", browser.js("return !document.querySelector('#stack img[data-layer=classes]').hasAttribute('src')"))
    browser.js("document.querySelector('input[data-layer=classes]').focus()")
    browser.press("space")
    browser.until("classes", loaded, "classes")
    for code, colour, name in ((6, STAR, "stars"), (3, GALAXY, "galaxies")):
        drawn, there = audit(f"pixels('classes', {colour})"), int((masks["CLASS"] == code).sum())
        check(f"each pixel of {name} is drawn as the file has it", drawn["coloured"] == there > 0, drawn, there)
    outlines = audit(f"pixels('outlines', {STAR})")
    check("outlines are fewer pixels, and some", 0 < outlines["opaque"] < (masks["CLASS"] > 0).sum(), outlines)
    browser.js("document.querySelector('input[data-layer=untrusted]').click()")
    browser.until("untrusted", loaded, "untrusted")
    drawn, there = audit("pixels('untrusted')"), int((masks["MASK"] > 0).sum())
    check("untrusted pixels are drawn as the file has them", drawn["opaque"] == there > 0, drawn, there)
    browser.js("document.querySelector('input[data-layer=image]').click()")
    check("a layer goes when it is not wished for", browser.js("return getComputedStyle(document.querySelector('#stack img[data-layer=image]')).visibility") == "hidden")
    browser.js("document.querySelector('input[data-layer=image]').click()")
    browser.js("document.getElementById('scene').focus()")
    browser.press("space")
    beside = "(l => { const i = document.querySelector(`#side-by-side img[data-scene=${l}]`); return i?.complete && i.naturalWidth })(arguments[0])"
    sizes = [browser.until(f"its {layer}, side by side", beside, layer) for layer in ("image", "model", "residual")]
    check("frame, models and what they leave are of one size", set(sizes) == {size[1]}, sizes)
    tops = browser.js("return [...document.querySelectorAll('#side-by-side img')].map(i => i.getBoundingClientRect().top)")
    check("and stand side by side", len(tops) == 3 and max(tops) - min(tops) < 1, tops)
    light = browser.js("""return ['image', 'model', 'residual'].map(l => { const i = document.querySelector(`#side-by-side img[data-scene=${l}]`),
        c = Object.assign(document.createElement('canvas'), { width: i.naturalWidth, height: i.naturalHeight }).getContext('2d');
        c.drawImage(i, 0, 0); return c.getImageData(0, 0, i.naturalWidth, i.naturalHeight).data.filter((v, k) => k % 4 < 3 && v > 200).length })""")
    check("bright pixels are in the models, and few are left", light[0] > 0 and light[1] > 0.5 * light[0] and light[2] < 0.2 * light[0], light)
    check("the bands' quality is there", browser.js("return document.querySelectorAll('#facts tbody tr').length") == 5)
    for theme in ("light", "dark"):
        browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        check(f"a field's texts are legible, {theme}", not (faint := audit("faint()")), faint)
    browser.devtools("Emulation.setEmulatedMedia", features=[])
    check("its titles, tables and pictures are tidy", not (untidy := audit("untidy()")), untidy)
    names(browser, "dialog")
    title = "return document.getElementById('field-title').textContent"
    browser.click("#older-field")
    browser.until("the next field", "document.getElementById('field-title').textContent !== arguments[0]", image)
    check("the next one is opened", browser.js(title) != image)
    browser.click("#newer-field")
    browser.until("the field before", "document.getElementById('field-title').textContent === arguments[0]", image)
    browser.press("escape")
    browser.until("the list", "!document.getElementById('field').open")
    focus = browser.js("return document.activeElement.textContent")
    check("Escape leads back to where one was", focus == image, focus)
    browser.js("location.hash = 'field=' + arguments[0]", image)
    check("a field has an address of its own", browser.until("it", "document.getElementById('field').open"))
    browser.click("#close")


def names(browser, where):
    unnamed = []
    for element in browser.all(f"{where} :is(a, button, input, select, summary, [tabindex='0'])"):
        role, name = browser.role_and_name(element)
        if not name.strip() or role in ("generic", "none", ""):
            unnamed.append((role, name))
    check(f"all that can be used has a role and a name, {where}", not unnamed, unnamed[:5])


def anyone_can_use_it(browser, audit):
    for theme in ("light", "dark"):
        browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        back = browser.js("return getComputedStyle(document.body).backgroundColor")
        check(f"the page has its {theme} colours", (back == "rgb(255, 255, 255)") == (theme == "light"), back)
        check(f"all texts are legible, {theme}", not (faint := audit("faint()")), faint)
    browser.devtools("Emulation.setEmulatedMedia", features=[])
    check("nothing moves", not (moving := audit("moving()")), moving)
    check("titles, tables and pictures are tidy", not (untidy := audit("untidy()")), untidy)
    names(browser, "header")
    names(browser, "main #fields")
    names(browser, "main #rejections")
    browser.js("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    seen, unseen = [], []
    for _ in range(20):
        browser.press("tab")
        focus = browser.js("const e = document.activeElement, s = getComputedStyle(e); return [e.textContent.trim().slice(0, 20) || e.id, e.id, s.outlineStyle, parseFloat(s.outlineWidth)]")
        seen.append(focus[0])
        if focus[2] == "none" or focus[3] < 2:
            unseen.append(focus)
    check("the first stop of the keyboard is the way to the fields", seen[0] == "Skip to the fields", seen)
    check("each stop is another, and seen", len(set(seen)) > 15 and not unseen, seen, unseen)
    browser.devtools("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=False)
    wide = browser.js("return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 361 && !e.closest('.wide, pre, dialog')).map(e => e.outerHTML.slice(0, 60))")
    width = browser.js("return document.documentElement.scrollWidth")
    check("it fits a small screen", width <= 360, width, wide[:5])
    browser.devtools("Emulation.clearDeviceMetricsOverride")
    elsewhere = browser.js("return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin))")
    check("nothing comes from elsewhere", not elsewhere, elsewhere)


def a_rejected_field_is_done_again(browser, daemon, sky, inbox, image):
    night.deliver(sky, inbox, image, "ugri")
    link = "document.querySelector(`#refused a[href='#field=${arguments[0]}']`)"
    browser.until("the rejection", f"!!{link}", image)
    text = browser.js(f"return {link}.closest('li').innerText", image)
    check("a rejection comes by itself, with its reason and what to do", "missing band" in text and "To do:" in text, text)
    browser.devtools("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.js(f"{link}.closest('li').querySelector('button').focus()", image)
    browser.press("enter")
    browser.until("the copy", f"{link}.closest('li').querySelector('[role=status]').textContent === 'Copied'", image)
    command = browser.js("return navigator.clipboard.readText()")
    check("the command is on the clipboard", command.startswith("rm /") and command.endswith(f"{image}.json"), command)
    night.deliver(sky, inbox, image, "z")
    subprocess.run(["sh", "-c", command], check=True)
    browser.until("its results", f"{link}?.closest('li').innerText.includes('processed since')", image)
    check("the command does what it says", daemon.json(f"api/fields/{image}")["ends"][0]["outcome"] == "processed")
    check("both ends are remembered", len(daemon.json(f"api/fields/{image}")["ends"]) == 2)


def it_rests_when_told_to(browser):
    browser.click("#live")
    time.sleep(2.5)
    count = lambda: browser.js("performance.setResourceTimingBufferSize(5000); return performance.getEntriesByType('resource').length")
    before = count()
    time.sleep(5)
    check("it stands still when it is told to", count() == before)
    browser.click("#live")


def inbox(browser, twinpeak, work, screenshot):
    sky, inbox, out = work / "sky", work / "inbox", work / "out"
    for folder in (inbox, out):
        folder.mkdir()
    size = ["--width", "900", "--height", "675"] if screenshot else ["--width", "480", "--height", "360"]
    subprocess.run([twinpeak, "simulate", "--plain", "--out", sky, "--fields", "12" if screenshot else "4", "--seed", "42", *size], check=True, capture_output=True)
    images = sorted(p.stem[6:] for p in sky.glob("truth-*.csv"))
    arguments = ("--inbox", inbox, "--out", out, "--set", "output.residual=true")
    with night.Daemon(twinpeak, work / "first.log", *arguments):
        night.deliver(sky, inbox, images[0])
        night.until("the first field", lambda: (out / f"{images[0]}.done.json").exists())
    night.past(out, json.loads((out / f"{images[0]}.done.json").read_text()), PAST)
    with night.Daemon(twinpeak, work / "inbox.log", *arguments) as daemon:
        night.until("the past", lambda: daemon.json("api/now")["counts"]["processed"] == PAST + 1)
        audit = open_page(browser, daemon)
        check.part(what_is_there, browser, daemon, audit)
        check.part(ten_thousand, browser)
        for image in images[1:-1]:
            night.deliver(sky, inbox, image)
            browser.until("a new field", "!!document.querySelector(`#list a[href='#field=${arguments[0]}']`)", image)
        check("a new field comes by itself", True)
        thumbnail = "[...document.querySelectorAll('#gallery a')].find(a => a.textContent.includes(arguments[0]))?.querySelector('img').naturalWidth"
        browser.js("document.getElementById('last').scrollIntoView()")
        check("and has a small picture", browser.until("it", thumbnail, images[-2]) > 0)
        check.part(a_field_and_its_masks, browser, audit, out, images[1])
        check.part(anyone_can_use_it, browser, audit)
        check.part(a_rejected_field_is_done_again, browser, daemon, sky, inbox, images[-1])
        check.part(it_rests_when_told_to, browser)
        complaints = [c for c in browser.complaints() if "favicon" not in c and "thumbnail" not in c]
        check("the console has no complaint", not complaints, complaints)
        if screenshot:
            keep(browser, screenshot, images[1])
    browser.until("the loss", "document.getElementById('ready').textContent.startsWith('The daemon does not answer')")
    check("it says so when the daemon is gone", True)
    return sky, images


def keep(browser, screenshot, image):
    """Pictures for docs/operate.md: the page from its top, and a field beside it as NAME-field.png."""
    browser.js("document.activeElement.blur(); location.hash = ''")
    time.sleep(3)
    height = browser.js("return document.getElementById('drift').getBoundingClientRect().bottom + scrollY")
    browser.screenshot(screenshot, height, 0.6)
    browser.js("location.hash = 'field=' + arguments[0]", image)
    browser.until("its picture", "document.querySelector('#stack img')?.naturalWidth")
    browser.js("document.activeElement.blur(); document.getElementById('field').scrollTo(0, 0)")
    time.sleep(1)
    browser.screenshot(Path(screenshot).with_suffix("").as_posix() + "-field.png", browser.js("return innerHeight"), 0.6)


def stream(browser, twinpeak, work, sky, images):
    """The same page over a broker: nothing is on disk, the last pictures are in memory."""
    browser.visit("about:blank")
    browser.complaints()  # about the daemon that is gone
    kafka = lambda *words: subprocess.run(["deploy/kafka.sh", *words, "--dir", work / "kafka"], check=True, capture_output=True, text=True).stdout.strip()
    broker = kafka("start")
    kafka("topics", "sdss", "2")
    (work / "objects").mkdir()
    sets = [f"kafka.state_dir={work}/state", f"remote.file_roots={sky}", f"remote.objects=file://{work}/objects"]
    with night.Daemon(twinpeak, work / "stream.log", "--kafka", broker, *[word for key in sets for word in ("--set", key)]) as daemon:
        submit = lambda *bands: subprocess.run([twinpeak, "submit", "--kafka", broker, *bands], check=True, capture_output=True)
        submit(*[sky / f"frame-{b}-{images[1]}.fits" for b in "ugriz"])
        (sky / f"frame-z-{images[2]}.fits").rename(work / "z")
        message = {"schema_version": "1.0", "image_id": images[2], "observed_at": 53000.0,
                   "bands": {b: f"file://{sky}/frame-{b}-{images[2]}.fits" for b in "ugriz"}}
        send(broker, "twinpeak.sdss.new-images", message)
        audit = open_page(browser, daemon)
        browser.until("both", "document.querySelectorAll('#list tbody tr').length === 2")
        browser.until("the commit", "document.getElementById('counts').innerText.includes('Images committed')")
        browser.click(f"#list a[href='#field={images[1]}']")
        browser.until("its picture", "document.querySelector('#stack img')?.naturalWidth")
        browser.until("its classes", "(b => (b.checked || b.click(), document.querySelector('#stack img[data-layer=classes]')?.naturalWidth))(document.querySelector('input[data-layer=classes]'))")
        drawn = audit(f"pixels('classes', {STAR})")
        check("a field of the stream has its masks to see", drawn["coloured"] > 50, drawn)
        browser.press("escape")
        command = daemon.json("api/fields?outcome=rejected")["fields"][0]["replay"]["command"]
        begins = command.startswith(f"twinpeak replay --image={images[2]} --kafka={broker} --config=/")
        check("a rejected message has its replay", begins, command)
        (work / "z").rename(sky / f"frame-z-{images[2]}.fits")
        subprocess.run(["sh", "-c", command.replace("twinpeak", str(twinpeak), 1)], check=True, capture_output=True, cwd="/")
        browser.until("its results", "document.getElementById('refused').innerText.includes('processed since')")
        check("and the replay is seen to come", True)
        # 503 until it has partitions; 404 for a picture that was not kept, under load.
        expected = ("favicon", "readyz", "thumbnail")
        complaints = [c for c in browser.complaints() if not any(word in c for word in expected)]
        check("the console has no complaint of the stream", not complaints, complaints)


def send(broker, topic, message):
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker})
    producer.produce(topic, json.dumps(message).encode(), key=message["image_id"].encode())
    assert producer.flush(30) == 0


def main(twinpeak, work, *further):
    work = Path(work).resolve()
    screenshot = further[1] if further[:1] == ("--screenshot",) else None
    with Browser() as browser:
        sky, images = inbox(browser, twinpeak, work, screenshot)
        check.part(stream, browser, twinpeak, work, sky, images)
    print(f"{check.passed} passed, {check.failed} failed")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

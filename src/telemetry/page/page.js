"use strict";
// Fills the page with what the daemon answers under api/. Whatever it says becomes text, never markup.

const $ = (id) => document.getElementById(id);
const DRAWN = new Set(["svg", "path", "line", "text"]);

/** An element; a function among its attributes listens to the event of that name. */
function h(name, attributes, ...children) {
  const made = DRAWN.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** New children, with the focus where it was. */
function fill(parent, children) {
  const held = parent.contains(document.activeElement) && document.activeElement.dataset.key;
  parent.replaceChildren(...children);
  if (held) parent.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

const shown = new Map();
/** Whether an answer differs from the last of its kind: what is the same is not drawn again. */
function changed(kind, answer) {
  const text = JSON.stringify(answer);
  const differs = shown.get(kind) !== text;
  shown.set(kind, text);
  return differs;
}

async function ask(path, anyStatus) {
  const answer = await fetch(path, { cache: "no-store" });
  if (answer.ok || anyStatus) return answer.json();
  throw new Error((await answer.json().catch(() => ({}))).error ?? `${path}: ${answer.status}`);
}

const count = (n) => (n ?? 0).toLocaleString("en");
const share = (n, of) => (of ? `${count(n)} (${((100 * n) / of).toFixed(1)} %)` : count(n));
const number = (v, digits) => (Number.isFinite(v) ? v.toFixed(digits) : "–");
const utc = (s) => new Date(s * 1000).toISOString().slice(0, 19).replace("T", " ");
const words = (name) => name.replaceAll("_", " ");
function lasting(s) {
  const [unit, in_s] = s < 100 ? ["s", 1] : s < 6000 ? ["min", 60] : s < 172800 ? ["h", 3600] : ["d", 86400];
  return `${(s / in_s).toFixed(unit === "s" ? 1 : 0)} ${unit}`;
}
const sources = (field) => field.stars + field.galaxies + field.unclassified;
const cells = (...values) => values.map((value) => h("td", {}, String(value)));
const to = (image) => `#field=${encodeURIComponent(image)}`;

// ---- now
let about = { reference_band: "" };

function drawNow(now) {
  about = now.about;
  const { counts, stream } = now;
  $("about").textContent =
    `${now.software_version}, survey ${about.survey}, model ${about.model_version} (${about.model_hash.slice(0, 12)}) ` +
    `on ${about.device}, from ${about.source}, up ${lasting(now.now_unix_s - now.started_unix_s)}`;
  document.querySelectorAll("th.reference").forEach((th) => (th.dataset.title ??= th.textContent));
  document.querySelectorAll("th.reference").forEach((th) => (th.textContent = `${about.reference_band} ${th.dataset.title}`));
  const all = counts.stars + counts.galaxies + counts.unclassified;
  const figures = [
    ["Fields processed", count(counts.processed)],
    ["Fields rejected", share(counts.rejected, counts.processed + counts.rejected)],
    ["In work", `${now.permits_used} of ${now.permits_limit}`],
    ["Sources", count(all)],
    ["Stars", share(counts.stars, all)],
    ["Galaxies", share(counts.galaxies, all)],
    ["Without a class", share(counts.unclassified, all)],
  ];
  if (stream) {
    figures.push(["Messages to do", count(Object.values(stream.lag_messages).reduce((a, b) => a + b, 0))]);
    figures.push(["Partitions", count(stream.partitions)]);
    figures.push(["Images committed", count(stream.committed_images)], ["Transactions aborted", count(stream.aborts)]);
  }
  fill($("counts"), figures.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
  const flight = now.in_flight.slice(0, 20).map((f) => h("tr", {}, ...cells(f.image, f.stage, lasting(now.now_unix_s - f.since_unix_s))));
  fill($("flight").tBodies[0], flight.length ? flight : [h("tr", {}, h("td", { colspan: 3 }, "Nothing: it waits for frames."))]);
  const stages = ["ingest", "prepare", "segment", "extract", "classify", "publish"].map((name) => [name, now.stages[name] ?? {}]);
  fill($("stages").tBodies[0], stages.map(([name, s]) => h("tr", {}, ...cells(name, s.waiting ?? 0, count(s.done), s.done ? `${number(s.recent_s, 3)} s` : "–"))));
  const troubles = Object.entries(now.devices).filter(([, d]) => d.last_failure).map(([name, d]) => `${name}: ${d.last_failure}`);
  for (const told of [now.last_retry, stream?.last_failure]) {
    if (told) troubles.push(`${utc(told.at_unix_s)}: ${told.text} (tried again)`);
  }
  fill($("troubles"), troubles.map((text) => h("li", {}, text)));
  if (!changed("counts", counts)) return false;
  const asked = (reason) => () => {
    $("filter").reset();
    $("reason").value = reason;
    show([]).then(() => $("fields").focus());
  };
  const reasons = Object.entries(counts.reasons);
  fill($("reasons"), reasons.map(([reason, n]) => h("li", {}, h("button", { click: asked(reason), "data-key": reason }, `${words(reason)}: ${count(n)}`))));
  const known = [...$("reason").options].map((option) => option.value);
  $("reason").append(...reasons.filter(([r]) => !known.includes(r)).map(([r]) => h("option", { value: r }, words(r))));
  return true;
}

// ---- fields
let pages = []; // the numbers before which the pages up to this one begin
let listed = [];

function query(before) {
  const wish = { text: $("text").value, outcome: $("outcome").value, reason: $("reason").value, before: before ?? "" };
  return `api/fields?${new URLSearchParams(wish)}`;
}

function row({ number: key, ...field }) {
  const reference = field.quality?.find((q) => q.band === about.reference_band) ?? {};
  const took = Object.values(field.timings_s).reduce((a, b) => a + b, 0);
  const done = field.outcome === "processed";
  const outcome = done ? h("td", { class: "good" }, "processed")
    : h("td", { class: "bad-word" }, `rejected: ${words(field.reason)}${field.processed_since ? ", processed since" : ""}`);
  const figures = done ? [count(sources(field)), count(field.stars), count(field.galaxies), count(field.unclassified),
    number(reference.fwhm_arcsec, 2), number(reference.depth_5sigma_mag, 2)] : Array(6).fill("–");
  return h("tr", {}, h("td", {}, h("a", { href: to(field.image), "data-key": `${key}` }, field.image)),
    ...cells(utc(field.ended_unix_s)), outcome, ...cells(...figures, took ? number(took, 2) : "–", field.model_version));
}

/** Shows the page of the list that begins at the last of `at`. */
async function show(at, quiet) {
  const answer = await ask(query(at.at(-1)));
  pages = at;
  listed = answer.fields;
  $("older").disabled = at.length * 50 + listed.length >= answer.matching || listed.length < 50;
  $("newest").disabled = at.length === 0;
  if (!changed("list", [answer, about.reference_band])) return;
  fill($("list").tBodies[0], listed.map(row));
  const first = at.length * 50;
  $("matching").textContent = answer.matching ? `${count(first + 1)} to ${count(first + listed.length)} of ${count(answer.matching)} fields` : "No field is such.";
  if (!quiet) $("told").textContent = $("matching").textContent;
}

async function drawLast() {
  const last = await ask("api/fields?outcome=processed&limit=10");
  if (changed("gallery", last)) {
    fill($("gallery"), last.fields.map((f) => h("li", {}, h("a", { href: to(f.image), "data-key": `${f.number}` },
      h("img", { src: `api/fields/${f.image}/thumbnail.png?${f.number}`, alt: "", loading: "lazy", width: 256, height: 192 }),
      h("span", {}, f.image), h("span", { class: "soft" }, `${count(f.stars)} stars, ${count(f.galaxies)} galaxies`)))));
  }
  const refused = await ask("api/fields?outcome=rejected&limit=10");
  if (changed("refused", refused)) {
    fill($("refused"), refused.fields.length ? refused.fields.map((f) => h("li", {},
      h("a", { href: to(f.image), "data-key": `${f.number}` }, f.image), ` ${utc(f.ended_unix_s)}`, ...refusal(f))) : [h("li", {}, "None.")]);
  }
}

/** Why, what to do, and how it is done again. */
function refusal(f) {
  const why = h("p", {}, h("strong", {}, `${words(f.reason)} (${f.stage}): `), f.file ? `${f.file}: ` : null, f.message);
  return [why, h("p", {}, `To do: ${f.advice}.`), f.processed_since ? h("p", { class: "good" }, "It was processed since.") : again(f.replay, f.image)];
}

function again(replay, image) {
  if (!replay?.command) return null;
  const command = h("input", { readonly: true, value: replay.command, spellcheck: "false" });
  const told = h("span", { role: "status" });
  const copy = async () => {
    command.select();
    // Without TLS only a page of this very machine has the clipboard.
    try { await navigator.clipboard.writeText(replay.command); } catch { document.execCommand("copy"); }
    told.textContent = "Copied";
  };
  return h("div", { class: "again" }, h("p", {}, replay.note),
    h("label", {}, "Again ", command), h("button", { click: copy, "data-key": `copy ${image}`, "aria-label": `Copy the command for ${image}` }, "Copy"), " ", told);
}

// ---- one field
let opened = null;

async function open(image) {
  const { ends } = await ask(`api/fields/${encodeURIComponent(image)}`);
  opened = image;
  $("field-title").textContent = image;
  const done = ends.find((end) => end.outcome === "processed");
  $("look").hidden = !done;
  if (done) picture(image, done);
  fill($("facts"), ends.map(facts));
  const at = listed.findIndex((f) => f.image === image);
  $("newer-field").disabled = at <= 0;
  $("older-field").disabled = at < 0 || (at === listed.length - 1 && $("older").disabled);
  if (!$("field").open) $("field").showModal();
  if (!$("field").contains(document.activeElement) || document.activeElement.disabled) $("field-title").focus();
}

function picture(image, field) {
  const said = {
    image: `${image} in colours: ${field.stars} stars or quasars, ${field.galaxies} galaxies, ${field.unclassified} without a class`,
    outlines: "outlines of its objects", classes: "its objects by class", untrusted: "pixels that were not trusted",
  };
  $("unseen-picture").hidden = true;
  const layers = Object.entries(said).map(([layer, alt]) => h("img", {
    alt, "data-layer": layer, error: () => { if (layer === "image") $("unseen-picture").hidden = false; },
  }));
  $("stack").replaceChildren(...layers);
  $("stack").dataset.from = `api/fields/${image}/`;
  $("stack").dataset.number = field.number;
  $("side-by-side").replaceChildren();
  $("unseen-scene").hidden = true;
  toggle();
}

/** The field, the models of its objects and what they leave, fetched when they are first wished for. */
const SCENE = [["image", "The frame"], ["model", "All models"], ["residual", "What they leave"]];
function scene() {
  const { from, number: key } = $("stack").dataset;
  const wished = $("scene").checked && Boolean(from);
  if (wished && !$("side-by-side").children.length) {
    const missing = () => { $("unseen-scene").hidden = false; $("side-by-side").hidden = true; };
    $("side-by-side").replaceChildren(...SCENE.map(([layer, title]) => h("figure", {},
      h("img", { alt: `${title}: ${opened}`, "data-scene": layer, error: missing, src: `${from}${layer}.png?${key}` }), h("figcaption", {}, title))));
    $("unseen-scene").hidden = true;
  }
  $("side-by-side").hidden = !wished || !$("unseen-scene").hidden;
}

/** A layer is fetched when it is first wished for. */
function toggle() {
  const { from, number: key } = $("stack").dataset;
  for (const box of document.querySelectorAll("input[data-layer]")) {
    const img = $("stack").querySelector(`img[data-layer=${box.dataset.layer}]`);
    if (!img) return; // it has no picture
    if (box.checked && !img.hasAttribute("src")) img.src = `${from}${box.dataset.layer}.png?${key}`;
    img.classList.toggle("off", !box.checked);
    img.toggleAttribute("aria-hidden", !box.checked);
  }
  $("stack").classList.toggle("actual", $("actual").checked);
  scene();
}

function facts(end) {
  const head = h("h3", {}, `${end.outcome === "processed" ? "Processed" : "Rejected"} ${utc(end.ended_unix_s)} UTC by model ${end.model_version}`);
  const stages = Object.entries(end.timings_s).sort((a, b) => STAGES.indexOf(a[0]) - STAGES.indexOf(b[0])).map(([stage, s]) => `${stage} ${number(s, 3)}`);
  const took = stages.length ? h("p", { class: "soft" }, `Seconds: ${stages.join(", ")}`) : null;
  if (end.outcome === "rejected") return h("section", {}, head, ...refusal(end), took);
  const all = sources(end);
  const titles = ["Band", "FWHM ″", "Ellipticity", "Sky nMgy", "Noise nMgy", "Depth mag", "PSF stars", "Registration px", ...(end.reference ? ["Zero point mag"] : [])];
  const rows = end.quality.map((q) => h("tr", {}, ...cells(q.band, number(q.fwhm_arcsec, 3), number(q.ellipticity, 3), number(q.sky_nmgy, 4),
    number(q.sky_sigma_nmgy, 4), number(q.depth_5sigma_mag, 2), q.psf_fallback ? `${q.psf_stars} (fallback)` : q.psf_stars, number(q.registration_residual_px, 3), ...(end.reference ? [number(q.zero_point_offset_mag, 3)] : []))));
  const exposed = end.midpoint_mjd_tai ? `, exposed at MJD ${end.midpoint_mjd_tai.toFixed(5)}` : "";
  return h("section", {}, head,
    h("p", {}, `${count(all)} sources: ${share(end.stars, all)} stars, ${share(end.galaxies, all)} galaxies, ${share(end.unclassified, all)} without a class, on ${end.device}${exposed}`),
    known(end.reference),
    h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Quality by band" },
      h("table", {}, h("caption", {}, "Quality by band"), h("thead", {}, h("tr", {}, ...titles.map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, ...rows))), took);
}
/** How the field agrees with the reference catalogue. */
function known(reference) {
  if (!reference) return null;
  const of = `${count(reference.matched)} of ${count(reference.stars)} known stars`;
  if (!reference.matched) return h("p", {}, `The sky agrees with none of ${count(reference.stars)} known stars`);
  const [ra, dec, scatter] = [reference.offset_ra_arcsec, reference.offset_dec_arcsec, reference.scatter_arcsec].map((v) => number(v, 3));
  return h("p", {}, `Position minus that of ${of}: ${ra}″ in right ascension, ${dec}″ in declination, scatter ${scatter}″`);
}
const STAGES = ["ingest", "prepare", "segment", "extract", "classify", "publish"];

async function step(by) {
  let at = listed.findIndex((f) => f.image === opened) + by;
  if (at === listed.length && !$("older").disabled) {
    await older();
    at = 0;
  }
  if (listed[at]) location.replace(to(listed[at].image));
}

function route() {
  const image = location.hash.startsWith("#field=") ? decodeURIComponent(location.hash.slice(7)) : null;
  if (image) open(image).catch((error) => ($("told").textContent = `${image}: ${error.message}`));
  else if ($("field").open) $("field").close();
}

// ---- quality and drift
const CHARTS = [["fwhm_arcsec", "Seeing: FWHM of the PSF, arcsec", 2], ["sky_nmgy", "Sky, nanomaggies a pixel", 4], ["depth_5sigma_mag", "Depth: point source at S/N 5, mag", 2]];

async function drawQuality() {
  const answer = await ask(`api/quality?${new URLSearchParams({ hours: $("hours").value, by: $("by").value })}`);
  if (!changed("quality", answer)) return;
  fill($("charts"), answer.fields ? CHARTS.map(([key, title, digits]) => chart(answer, key, title, digits)) : [h("p", {}, "No frame was processed then.")]);
}

function chart({ bands, figures, from_unix_s: from, to_unix_s: until }, key, title, digits) {
  const lines = figures[key];
  const points = lines.flat();
  if (!points.length) return h("figure", {}, h("figcaption", {}, title), h("p", {}, "Not measured."));
  let [low, high] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[3]))];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  [low, high] = [low - room, high + room];
  const [left, right, top, bottom] = [58, 452, 8, 176];
  const x = (t) => left + ((t - from) / (until - from || 1)) * (right - left);
  const y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
  const drawn = [];
  for (let k = 0; k <= 4; k++) {
    const v = low + ((high - low) * k) / 4;
    drawn.push(h("line", { class: "axis", x1: left, x2: right, y1: y(v), y2: y(v) }), h("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(digits)));
  }
  const days = until - from > 172800;
  for (let k = 0; k <= 3; k++) {
    const t = from + ((until - from) * k) / 3;
    drawn.push(h("text", { x: x(t), y: bottom + 18, "text-anchor": ["start", "middle", "middle", "end"][k] }, days ? utc(t).slice(0, 10) : utc(t).slice(11, 16)));
  }
  const at = (t, v) => `${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
  lines.forEach((line, b) => {
    if (!line.length) return;
    const range = [...line.map((p) => at(p[0], p[3])), ...line.toReversed().map((p) => at(p[0], p[1]))];
    drawn.push(h("path", { class: `range b${b}`, d: `M${range.join("L")}Z` }));
    drawn.push(h("path", { class: `b${b}`, "stroke-linecap": "round", d: `M${line.map((p) => at(p[0], p[2])).join("L")}h.01` }));
  });
  const ends = lines.map((line, b) => [b, line.length ? y(line.at(-1)[2]) + 4 : null]).filter(([, end]) => end !== null);
  ends.sort((a, b) => a[1] - b[1]).forEach((end, k) => { if (k) end[1] = Math.max(end[1], ends[k - 1][1] + 13); });
  ends.forEach(([b, end]) => drawn.push(h("text", { class: `b${b}`, x: right + 8, y: end }, bands[b])));
  const last = lines.map((line, b) => (line.length ? `${bands[b]} ${number(line.at(-1)[2], digits)}` : null)).filter(Boolean).join(", ");
  const middle = (line) => line.map((p) => p[2]).sort((a, b) => a - b)[line.length >> 1];
  const rows = lines.map((line, b) => line.length && h("tr", {}, ...cells(bands[b], ...[Math.min(...line.map((p) => p[1])), middle(line), Math.max(...line.map((p) => p[3])), line.at(-1)[2]].map((v) => number(v, digits)))));
  return h("figure", {}, h("figcaption", {}, title),
    h("svg", { viewBox: "0 0 480 200", role: "img", "aria-label": `${title}, ${utc(from)} to ${utc(until)} UTC. Last: ${last}` }, ...drawn),
    h("details", {}, h("summary", { "data-key": key }, "As a table"), h("table", {}, h("thead", {}, h("tr", {}, ...["Band", "Lowest", "Median", "Highest", "Last"].map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, ...rows.filter(Boolean)))));
}

async function drawDrift() {
  const rows = await ask("api/drift");
  if (!changed("drift", rows)) return;
  const drawn = rows.map((r) => {
    const drifts = r.distance > r.threshold;
    return h("tr", {}, ...cells(r.input, r.window, number(r.distance, 3), number(r.threshold, 3)), h("td", { class: drifts ? "bad-word" : "good" }, drifts ? "drift" : "as trained"));
  });
  const titles = ["Input", "Window", "Distance", "Drift from", ""].map((t) => h("th", { scope: "col" }, t || h("span", { class: "unseen" }, "Verdict")));
  fill($("drifts"), [rows.length ? h("table", {}, h("thead", {}, h("tr", {}, ...titles)), h("tbody", {}, ...drawn)) : h("p", {}, "Not measured.")]);
}

async function drawReady() {
  const { status, checks } = await ask("readyz", true);
  const failing = Object.entries(checks).filter(([, said]) => said !== "ok").map(([name, said]) => `${name}: ${said}`);
  $("ready").textContent = failing.length ? `Not ready: ${failing.join("; ")}` : `It is ${status}.`;
  $("ready").className = failing.length ? "bad-word" : "good";
}

async function drawConfiguration() {
  const text = await (await fetch("api/configuration", { cache: "no-store" })).text();
  if (changed("configuration", text)) $("effective").textContent = text;
}

// ---- events and the clock
const older = () => show([...pages, listed.at(-1).number]);
$("older").addEventListener("click", older);
$("newest").addEventListener("click", () => show([]));
$("filter").addEventListener("submit", (event) => { event.preventDefault(); show([]); });
$("filter").addEventListener("reset", () => setTimeout(() => show([])));
$("window").addEventListener("change", drawQuality);
$("look").addEventListener("change", toggle);
$("close").addEventListener("click", () => $("field").close());
$("field").addEventListener("close", () => { opened = null; history.replaceState(null, "", location.pathname); });
$("newer-field").addEventListener("click", () => step(-1));
$("older-field").addEventListener("click", () => step(1));
addEventListener("hashchange", route);

/** What is due, unless nobody looks; an answer that does not come is said once. */
let lost = false;
async function tick(beat) {
  if (beat > 0 && (document.hidden || !$("live").checked)) return;
  try {
    const moved = drawNow(await ask("api/now"));
    if (moved && !pages.length) await show([], true);
    if (moved || beat % 15 === 0) await Promise.all([drawLast(), drawQuality()]);
    if (beat % 8 === 0) await Promise.all([drawReady(), drawDrift(), drawConfiguration()]);
    if (lost) $("told").textContent = "The daemon answers again.";
    lost = false;
  } catch (error) {
    $("ready").textContent = `The daemon does not answer: ${error.message}`;
    $("ready").className = "bad-word";
    if (!lost) $("told").textContent = $("ready").textContent;
    lost = true;
    shown.delete("counts");
  }
}
(async () => {
  await tick(0);
  route();
  for (let beat = 1; ; beat++) {
    await new Promise((resume) => setTimeout(resume, 2000));
    await tick(beat);
  }
})();

"""The counter sees what is lost and what is doubled: made-up listings, each with one thing wrong."""

import hashlib
import json
import unittest

import count

MASK = b"masks"


def line(partition, offset, key, value, headers="NO_HEADERS"):
    return f"Partition:{partition}\tOffset:{offset}\t{headers}\t{key}\t{value}"


def rejection(offset, message, reason):
    headers = f"theirs:x,twinpeak.reason:{reason},twinpeak.partition:0,twinpeak.offset:{message}"
    return line(3, offset, "k", "garbage\\x0A", headers)


def mask(sha256=hashlib.sha256(MASK).hexdigest(), uri=None):
    return json.dumps({"uri": uri, "bytes": MASK.decode(), "sha256": sha256})


def decoded(value):
    record = json.loads(value)
    return {**record, "bytes": record["bytes"].encode()} if "bytes" in record else record


def quiet_night():
    """Two good images of two rows each, and a bad message: nothing is wrong."""
    return {
        "new-images": [line(0, 0, "0", "good"), line(0, 1, "1", "good"), line(0, 2, "2", "garbage\\x0A")],
        "sources-v1": [line(offset % 2, offset, image, "Size:9") for offset, image in enumerate("AABB")],
        "masks-v1": [line(1, offset, image, mask()) for offset, image in enumerate("AB")],
        "images-v1": [line(2, offset, image, '{"rows": 2, "masks": 1}') for offset, image in enumerate("AB")],
        "rejected": [rejection(0, 2, "bad_message")],
    }


class Counter(unittest.TestCase):
    def judged(self, spoil=lambda night: None):
        night = quiet_night()
        spoil(night)
        good = [{"number": number, "kind": "good", "image": image, "reason": None} for number, image in enumerate("AB")]
        bad = {"number": 2, "kind": "garbage", "image": "C", "reason": "bad_message"}
        topics = {topic: [count.parsed(text) for text in lines] for topic, lines in night.items()}
        return count.judge([*good, bad], topics, decoded, decoded)

    def figures(self, spoil=lambda night: None):
        verdict = self.judged(spoil)
        return len(verdict.lost), len(verdict.doubled), len(verdict.rejected), len(verdict.wrong)

    def test_a_quiet_night_is_whole(self):
        verdict = self.judged()
        self.assertTrue(verdict.holds(), verdict)
        self.assertEqual(self.figures(), (0, 0, 1, 0))

    def test_what_is_lost(self):
        self.assertEqual(self.figures(lambda n: n["sources-v1"].pop()), (1, 0, 1, 0), "a row")
        self.assertEqual(self.figures(lambda n: n["masks-v1"].pop()), (1, 0, 1, 0), "a mask")
        self.assertEqual(self.figures(lambda n: n["images-v1"].pop()), (1, 0, 1, 0), "an end of image")
        self.assertEqual(self.figures(lambda n: n["rejected"].pop()), (1, 0, 0, 0), "a rejection")
        gone = mask(uri="file:///no/such/object")
        self.assertEqual(self.figures(lambda n: n.update({"masks-v1": [line(1, 0, i, gone) for i in "AB"]}))[0], 2)
        other = mask(sha256="0" * 64)
        self.assertEqual(self.figures(lambda n: n.update({"masks-v1": [line(1, 0, i, other) for i in "AB"]}))[0], 2)
        cut = rejection(0, 2, "bad_message").removesuffix("\\x0A")
        self.assertEqual(self.figures(lambda n: n.update({"rejected": [cut]}))[0], 1, "part of a rejected message")

    def test_what_is_doubled(self):
        again = lambda topic: lambda night: night[topic].append(night[topic][0])
        self.assertEqual(self.figures(again("sources-v1")), (0, 1, 1, 0), "a row")
        self.assertEqual(self.figures(again("masks-v1")), (0, 1, 1, 0), "a mask")
        self.assertEqual(self.figures(again("images-v1")), (0, 1, 1, 0), "an end of image")
        self.assertEqual(self.figures(again("rejected")), (0, 1, 0, 0), "a rejection")
        both = lambda night: night["rejected"].append(rejection(1, 0, "crashed"))
        self.assertEqual(self.figures(both), (0, 1, 1, 0), "an image with its end and a rejection")

    def test_what_is_not_due(self):
        other = lambda night: night.update(rejected=[rejection(0, 2, "too_old")])
        self.assertEqual(self.figures(other), (0, 0, 1, 1), "another reason")
        stranger = lambda night: night["sources-v1"].append(line(0, 9, "D", "Size:9"))
        self.assertEqual(self.figures(stranger), (0, 0, 1, 1), "rows of an image that nobody sent")
        two = lambda night: night["images-v1"].__setitem__(0, line(2, 0, "A", '{"rows": 2, "masks": 1, "modelHash": "b"}'))
        self.assertEqual(self.figures(two), (0, 0, 1, 1), "an image of two models")
        twice = lambda night: night["new-images"].append(line(0, 3, "0", "good"))
        self.assertFalse(self.judged(twice).holds(), "a message that the storm itself sent twice")

    def test_a_daemon_that_grows_is_seen(self):
        def life(memory):
            line = lambda k: {"life": "a 1", "resident_memory_bytes": memory(k), "open_fds": 30, "threads": 20}
            return count.growth(line(k) for k in range(4 * count.LIFE_MIN))

        steady = lambda found: all(count.flat(*pair) for pair in found[0][1].values())
        self.assertTrue(steady(life(lambda k: 300_000_000 + 1000 * (k % 7))))
        self.assertTrue(steady(life(lambda k: 100_000_000 if k < 9 else 300_000_000)), "a start")
        self.assertFalse(steady(life(lambda k: 300_000_000 + 2_000_000 * k)), "a leak")
        self.assertEqual(count.growth([]), [])

    def test_a_good_message_in_work_at_two_deaths_is_named(self):
        def crashed(night):
            night.update({topic: night[topic][:-1] for topic in ("masks-v1", "images-v1")})
            night["sources-v1"] = night["sources-v1"][:2]
            night["rejected"].append(rejection(1, 1, "crashed").replace("garbage\\x0A", "good"))

        verdict = self.judged(crashed)
        self.assertTrue(verdict.holds(), verdict)
        self.assertEqual((len(verdict.rejected), len(verdict.innocent)), (2, 1))


if __name__ == "__main__":
    unittest.main()

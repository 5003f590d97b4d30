"""A check that cannot fail proves nothing: each way in which an alert can be incomplete is found."""

import copy
import re
import unittest

import fast
import shipped

ALERT = {
    "alert": "TwinpeakSad",
    "expr": "x > 1",
    "labels": {"severity": "page"},
    "annotations": {"summary": "sad", "runbook_url": "file:///somewhere/runbook.md#twinpeaksad"},
}
RUNBOOK = "# R\n\n## TwinpeakSad\n\n*Page.*\n\n- **Means**: a.\n- **Look first**: b.\n- **Cure**: c.\n"
SERIES = [{"series": "x", "values": "2"}]
TESTS = [("TwinpeakSad", [{"exp_labels": {}}], SERIES), ("TwinpeakSad", [], SERIES)]


class Missing(unittest.TestCase):
    def missing(self, alert=ALERT, runbook=RUNBOOK, tests=TESTS):
        return list(shipped.missing([alert], runbook, tests))

    def test_a_complete_alert_lacks_nothing(self):
        self.assertEqual(self.missing(), [])

    def test_no_entry(self):
        self.assertEqual(self.missing(runbook="# R\n"), ["TwinpeakSad has no entry in the runbook"])

    def test_a_part_of_the_entry(self):
        for word in shipped.ENTRY:
            found = self.missing(runbook=re.sub(rf"- \*\*{word}.*\n", "", RUNBOOK))
            self.assertEqual(found, [f"TwinpeakSad's entry in the runbook does not say: {word}"])

    def test_another_severity(self):
        self.assertEqual(len(self.missing(runbook=RUNBOOK.replace("*Page.*", "*Ticket.*"))), 1)

    def test_a_url_that_leads_elsewhere(self):
        alert = copy.deepcopy(ALERT)
        alert["annotations"]["runbook_url"] = "file:///somewhere/runbook.md#twinpeakglad"
        self.assertEqual(self.missing(alert=alert), ["TwinpeakSad's runbook_url does not lead to its entry"])

    def test_a_test_of_each_kind(self):
        self.assertEqual(self.missing(tests=TESTS[1:]), ["TwinpeakSad has no test that makes it fire"])
        self.assertEqual(self.missing(tests=TESTS[:1]), ["TwinpeakSad has no test that keeps it silent"])
        hollow = [TESTS[0], ("TwinpeakSad", [], [])]
        self.assertEqual(self.missing(tests=hollow), ["TwinpeakSad has no test that keeps it silent"])

    def test_what_was_left_behind(self):
        self.assertEqual(len(self.missing(tests=[*TESTS, ("TwinpeakGlad", [], SERIES)])), 1)
        self.assertEqual(len(self.missing(runbook=RUNBOOK + "## TwinpeakGlad\n")), 1)


class Metrics(unittest.TestCase):
    def test_names_are_found_and_recorded_ones_are_not(self):
        text = 'job:twinpeak_a:sum / twinpeak_b_total{c="twinpeak_d"} and process_e > on (job) up'
        self.assertEqual(shipped.metrics(text), {"twinpeak_b_total", "process_e"})


class Fast(unittest.TestCase):
    def test_every_length_of_time_is_a_sixtieth_and_nothing_else_changes(self):
        slow = {"alert": "A", "for": "5m", "expr": 'a:b5m[1h] offset 6h > 0.05 and c{d="5m"}[90s] > 2 * 3600'}
        quick = {"alert": "A", "for": "5s", "expr": 'a:b5m[1m] offset 6m > 0.05 and c{d="5m"}[1500ms] > 2 * 60'}
        self.assertEqual(fast.rule(slow), quick)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what became of each task, for apply.py."""
import sys

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: goldmill
    type: stdout
    short_description: what became of each task, with file and line
    description: [What became of each task, with file and line.]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "goldmill"

    def __init__(self):
        super().__init__()
        self._report = sys.modules["goldmill_report"]

    def v2_playbook_on_play_start(self, play):
        self._report.plays += 1

    def v2_playbook_on_no_hosts_matched(self):
        self._report.plays -= 1

    def v2_runner_on_ok(self, result):
        self._add(result, "changed" if result._result.get("changed") else "unchanged")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._add(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self._add(result, "failed")

    def v2_runner_on_skipped(self, result):
        self._add(result, "skipped")

    def _add(self, result, status):
        task, answer = result._task, result._result
        file, _, line = task.get_path().rpartition(":")
        action = task.action.rpartition(".")[2]
        parts = answer["results"] if isinstance(answer.get("results"), list) else [answer]
        if status != "skipped":
            for part in parts:
                self._report.services.update(part.get("goldmill_services", []))
        row = {"resource": task.get_name().strip(), "file": file or None,
               "line": int(line) if line.isdigit() else None, "status": status,
               "events": self._events(action, parts, status)}
        self._report.rows.append(row)
        for warning in answer.get("warnings", []):
            self._report.messages.append({"level": "warning", "message": str(warning),
                                          "file": row["file"], "line": row["line"]})
        said = "; ".join(event["message"] for event in row["events"] if event["message"])
        self._display.display(f"{status}: {row['resource']}" + (f": {said}" if said else ""))

    @staticmethod
    def _events(action, parts, status):
        if status in ("unchanged", "skipped"):
            return []
        told = [part for part in parts if isinstance(part, dict)
                and part.get("failed" if status in ("failed", "ignored") else "changed")]
        return [{"property": action, "message": words_of(part)} for part in told or parts]


def words_of(part):
    """The shortest that tells what happened."""
    item = part.get("_ansible_item_label", part.get("item"))
    words = str(part.get("msg") or "").partition("\nThe error appears")[0]
    if part.get("failed") and part.get("module_stderr"):
        words = part["module_stderr"].strip().rpartition("\n")[2]
    elif part.get("failed") and part.get("stderr"):
        words = f"{words}: {part['stderr'].strip()}"
    elif not words and part.get("cmd"):
        words = part["cmd"] if isinstance(part["cmd"], str) else " ".join(part["cmd"])
    elif not words:
        words = part.get("dest") or part.get("path") or part.get("name") or ""
    words = " ".join(str(words).split())[:1000]
    return words if item is None else f"{item}: {words}".removesuffix(": ")

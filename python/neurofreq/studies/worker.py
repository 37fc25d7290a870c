"""Work through the items of a study, beside any number of other processes.

Processes share only the folder. Each process goes through the pending items from its
own starting point, claims items that no other process has claimed, measures them and
stores the results. A process then waits for the items that others claimed, until every
item is finished or failed. If a process dies, its claims end, and other processes
measure its items.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import traceback
from typing import TYPE_CHECKING, Any

from neurofreq._shared.files.locks import Waiting, claim
from neurofreq._shared.networks import classes
from neurofreq._shared.progress import bar
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.measured import Attack, Clean
from neurofreq.measured.record import CORRUPTION, to_arrays
from neurofreq.studies import measuring

if TYPE_CHECKING:
    from collections.abc import Callable

    from neurofreq._shared.files.storage import Store
    from neurofreq.data import ImageSet
    from neurofreq.measured import Measured
    from neurofreq.measured.record import Result
    from neurofreq.studies.measuring import Running, Subject
    from neurofreq.studies.plan import Item, Plan

POLL_SECONDS = 0.5  # between two checks of the items that other processes claimed
_BAR = "{desc} {percentage:3.0f}%|{bar}|{postfix} [{elapsed}<{remaining}]"


class Work:
    """Read or measure the items of one run.

    `subjects` are the models of the plan that could be loaded. With `keep_adversarial`,
    all adversarial images are stored beside the numbers. With `is_strict`, an error
    ends the run; otherwise it is stored as a failure. `place` is the rank of this run
    and the number of ranks: each rank starts at other items. The run ends early if
    `is_wanted` returns False between two items.
    """

    def __init__(
        self,
        plan: Plan,
        subjects: list[Subject],
        data: ImageSet,
        store: Store,
        running: Running,
        *,
        keep_adversarial: bool = False,
        is_strict: bool = False,
    ) -> None:
        self.plan, self.data, self.store, self.running = plan, data, store, running
        self.subjects = {subject.name: subject for subject in subjects}
        self.keep_adversarial, self.is_strict = keep_adversarial, is_strict
        self.items = plan.items
        self.finished: dict[Item, Result] = {}
        self.failures: dict[Item, str] = {}
        self.n_measured = 0
        self.place = rank_and_count()
        self.is_wanted: Callable[[], bool] = lambda: True
        self._old = {item: store.failure(item.record) for item in self.items}
        self._bar: Any = None

    def run(self) -> None:
        """Complete every item, or store its traceback."""
        pending = [item for item in self._turned() if not self._is_settled(item)]
        with bar(
            total=sum(map(self._cost, self.items)),
            initial=self._settled_cost(),
            desc=self.plan.name,
            bar_format=_BAR,
            smoothing=0.0,
            progress=self.running.progress and bool(pending),
        ) as self._bar:
            waiting = None
            while pending and self.is_wanted():
                before = len(pending)
                self._show()
                for job in _jobs(pending):
                    if self.is_wanted():
                        self._try(job)
                pending = [item for item in pending if not self._is_settled(item)]
                if len(pending) < before:
                    waiting = None
                elif pending:
                    others = f"it measures {pending[0]} of {self.store.folder}"
                    waiting = waiting or Waiting(others)
                    waiting.look()
                    time.sleep(POLL_SECONDS)
        for item, result in self.finished.items():
            if isinstance(result, Clean):
                n_outputs = self.subjects[item.model].n_outputs
                classes.tell_guessing(result.correct, n_outputs, item.model)

    def measured(self) -> list[Measured]:
        """Return the finished measurements of each model."""
        return self.plan.gather(self.finished.get)

    def forget(self) -> None:
        """Delete every item in the folder, finished or failed."""
        for item in self.items:
            self.store.discard(item.record)
            self._old[item] = None

    def missing(self) -> list[str]:
        """Return the measurements that are neither finished nor failed, in words."""
        return list(
            dict.fromkeys(
                str(item)
                for item in self.items
                if item not in self.finished and item not in self.failures
            )
        )

    def _turned(self) -> list[Item]:
        """Rotate the items by rank, so that the ranks start at different items."""
        rank, n_ranks = self.place
        first = rank * len(self.items) // n_ranks
        return self.items[first:] + self.items[:first]

    def _is_settled(self, item: Item) -> bool:
        """Return whether the item is finished, or has failed since this run began."""
        if item in self.finished or item in self.failures:
            return True
        result = item.read(self.store)
        if result is not None and self._has_images(item):
            self.finished[item] = result
            return True
        failure, old = self.store.failure(item.record), self._old[item]
        if failure is not None and (old is None or old[0] != failure[0]):
            self.failures[item] = failure[1]
            return True
        return False

    def _has_images(self, item: Item) -> bool:
        is_wanted = self.keep_adversarial and item.key == "attack"
        return not is_wanted or self.store.has_tensors(item.record)

    def _try(self, job: list[Item]) -> None:
        """Claim the items of a job that no other process has claimed, and measure."""
        with contextlib.ExitStack() as claims:
            mine = []
            for item in job:
                lock = self.store.path(item.record, ".lock")
                if self._is_settled(item) or not claims.enter_context(claim(lock)):
                    continue
                if self._is_settled(item):  # finished just before the claim
                    self._release(item)
                else:
                    mine.append(item)
            if mine:
                self._measure(mine)
                for item in self.items:  # count the items that other processes finished
                    self._is_settled(item)
        self._show()

    def _measure(self, items: list[Item]) -> None:
        """Measure the items of a job; store an item's failure and continue."""
        running = dataclasses.replace(self.running, step=self._step(items))
        try:
            found = self._results(items, running)
        except Exception:
            if self.is_strict:
                raise
            self._show()
            if len(items) > 1:  # measure each item alone to find the one that fails
                for item in items:
                    self._measure([item])
                return
            text = traceback.format_exc()
            self.store.fail(items[0].record, text)
            self.failures[items[0]] = text
            return
        for item in items:
            self._keep(item, found[item.model])

    def _results(self, items: list[Item], running: Running) -> dict[str, Result]:
        first, settings = items[0], self.plan.settings
        subjects = [self.subjects[item.model] for item in items]
        if first.measurement == "corruption":
            name = first.key.removeprefix(CORRUPTION)
            found = measuring.corruption(name, self.data, subjects, settings, running)
            return dict(found)
        if first.key == "attack":
            attack = measuring.attack(subjects[0], settings, running, first.rows)
            return {first.model: attack}
        measure = measuring.single(first.key)
        return {first.model: measure(subjects[0], settings, running)}

    def _keep(self, item: Item, result: Result) -> None:
        tensors = None
        if isinstance(result, Attack):
            images = result.adversarial
            tensors = {"adversarial": images} if self.keep_adversarial else None
            # A copy, because a view would keep all images of the part in memory.
            first = images[: measuring.N_EXAMPLES].copy()
            result = dataclasses.replace(result, adversarial=first)
        self.store.save(item.record, to_arrays(result), tensors)
        self.finished[item] = result
        self.n_measured += 1
        self._release(item)

    def _release(self, item: Item) -> None:
        """Delete the lock file of a finished item, if the system allows it."""
        with contextlib.suppress(OSError):
            self.store.path(item.record, ".lock").unlink(missing_ok=True)

    def _cost(self, item: Item) -> int:
        """Return approximately how many images pass through the model."""
        settings, n_rows = self.plan.settings, len(item.rows)
        return measuring.cost(item.measurement, settings, self.data, n_rows)

    def _settled_cost(self) -> int:
        return sum(map(self._cost, [*self.finished, *self.failures]))

    def _show(self) -> None:
        """Set the bar to the cost of the settled items."""
        count = len(self.finished) + len(self.failures)
        self._bar.n = self._settled_cost()
        n_failed = len(self.failures)
        n_failed += sum(bool(one.traceback) for one in self.plan.models)  # loading
        lost = f", {n_failed} failed" if n_failed else ""
        self._bar.set_postfix_str(f"{count}/{len(self.items)} items{lost}")

    def _step(self, items: list[Item]) -> Callable[[int], object]:
        """Return the callback that advances the bar within a job."""
        units = {
            "hybrid": len(self.plan.settings.seeds),
            "attack": len(items[0].rows),
            "corruption": len(SEVERITIES),
        }.get(items[0].measurement, 1)
        share = self._cost(items[0]) / units
        return lambda n: self._bar.update(n * share)


def _jobs(items: list[Item]) -> list[list[Item]]:
    """Group the items that are measured together: one corruption for all models."""
    jobs: dict[Any, list[Item]] = {}
    for item in items:
        is_shared = item.measurement == "corruption"
        jobs.setdefault(item.key if is_shared else item, []).append(item)
    return list(jobs.values())


def shows_progress() -> bool:
    """Return whether this process draws the bar: the first rank of its machine."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def rank_and_count() -> tuple[int, int]:
    """Return this process's rank and the number of ranks from torchrun's variables."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

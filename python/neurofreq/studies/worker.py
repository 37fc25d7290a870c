"""Working through the items of a study, beside any number of other processes.

Processes share nothing but the folder. Each goes through the pending items from
a place of its own, claims what nobody else has, measures and keeps it; what
others have claimed it looks at again, until every item is finished or failed.
A process that dies gives its claims up, and the others take them over.
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
from neurofreq.corruptions.folder import SEVERITIES
from neurofreq.studies import measuring

if TYPE_CHECKING:
    from collections.abc import Callable

    from neurofreq._shared.files.storage import Arrays, Store
    from neurofreq.data import ImageSet
    from neurofreq.measured.record import Measured
    from neurofreq.studies.measuring import Running, Subject
    from neurofreq.studies.plan import Item, Plan

POLL_SECONDS = 0.5  # between two looks at what other processes have claimed
_BAR = "{desc} {percentage:3.0f}%|{bar}|{postfix} [{elapsed}<{remaining}]"
_BACKWARD = 3  # image passes of one step of an attack, for the time left


class Work:
    """The items of one run: read where they exist, measured where not.

    Parameters
    ----------
    plan : Plan
    subjects : list of Subject
        The models of the plan that could be loaded.
    data : ImageSet
    store : Store
    running : Running
    keep_adversarial : bool
        Keep all adversarial images beside the numbers.
    is_strict : bool
        Whether an error ends the run instead of being written down.
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
        self.finished: dict[Item, Arrays] = {}
        self.failures: dict[Item, str] = {}
        self.n_measured = 0
        self._old = {item: store.failure(item.record) for item in self.items}
        self._bar: Any = None

    def run(self) -> None:
        """Complete every item, or write down how it failed."""
        from tqdm.auto import tqdm

        pending = [item for item in _turned(self.items) if not self._is_settled(item)]
        with tqdm(
            total=sum(map(self._cost, self.items)),
            initial=self._settled_cost(),
            desc=self.plan.name,
            bar_format=_BAR,
            smoothing=0.0,
            disable=not self.running.progress or not pending,
        ) as self._bar:
            waiting = None
            while pending:
                before = len(pending)
                self._show()
                for job in _jobs(pending):
                    self._try(job)
                pending = [item for item in pending if not self._is_settled(item)]
                if len(pending) < before:
                    waiting = None
                elif pending:
                    others = f"it measures {pending[0]} of {self.store.folder}"
                    waiting = waiting or Waiting(others)
                    waiting.look()
                    time.sleep(POLL_SECONDS)
        for item, arrays in self.finished.items():
            if item.key == "clean":
                n_outputs = self.subjects[item.model].n_outputs
                classes.tell_guessing(arrays["correct"], n_outputs, item.model)

    def measured(self) -> list[Measured]:
        """Return what is finished of each model."""
        return self.plan.gather(self.finished.get)

    def forget(self) -> None:
        """Remove every item from the folder, finished or failed."""
        for item in self.items:
            self.store.discard(item.record)
            self._old[item] = None

    def missing(self) -> list[str]:
        """Say which measurements are neither finished nor failed."""
        return list(
            dict.fromkeys(
                str(item)
                for item in self.items
                if item not in self.finished and item not in self.failures
            )
        )

    def _is_settled(self, item: Item) -> bool:
        """Whether the item is finished, or has failed since this run began."""
        if item in self.finished or item in self.failures:
            return True
        arrays = self.store.load(item.record)
        if arrays is not None and self._has_images(item):
            self.finished[item] = arrays
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
        """Claim what nobody else has of a job, and measure it."""
        with contextlib.ExitStack() as claims:
            mine = []
            for item in job:
                lock = self.store.path(item.record, ".lock")
                if self._is_settled(item) or not claims.enter_context(claim(lock)):
                    continue
                if self._is_settled(item):  # while we claimed it
                    self._release(item)
                else:
                    mine.append(item)
            if mine:
                self._measure(mine)
                for item in self.items:  # what others have done meanwhile counts, too
                    self._is_settled(item)
        self._show()

    def _measure(self, items: list[Item]) -> None:
        """Measure items of one job; one that fails is written down, the rest go on."""
        running = dataclasses.replace(self.running, step=self._step(items))
        try:
            found = self._arrays(items, running)
        except Exception:
            if self.is_strict:
                raise
            self._show()
            if len(items) > 1:  # one of them is to blame: each alone
                for item in items:
                    self._measure([item])
                return
            text = traceback.format_exc()
            self.store.fail(items[0].record, text)
            self.failures[items[0]] = text
            return
        for item in items:
            self._keep(item, found[item.model])

    def _arrays(self, items: list[Item], running: Running) -> dict[str, Arrays]:
        first, settings = items[0], self.plan.settings
        subjects = [self.subjects[item.model] for item in items]
        if first.measurement == "corruption":
            name = first.key.removeprefix("corruption/")
            return measuring.corruption(name, self.data, subjects, settings, running)
        if first.key == "attack":
            found = measuring.attack(subjects[0], settings, running, first.rows)
        elif first.key == "hybrid":
            found = measuring.hybrids(subjects[0], settings, running)
        else:
            found = measuring.clean(subjects[0], settings, running)
        return {first.model: found}

    def _keep(self, item: Item, arrays: Arrays) -> None:
        tensors = None
        if item.key == "attack":
            images = arrays["adversarial"]
            tensors = {"adversarial": images} if self.keep_adversarial else None
            # A copy: a view would keep all of the part's images in memory.
            arrays = arrays | {"adversarial": images[: measuring.N_EXAMPLES].copy()}
        self.store.save(item.record, arrays, tensors)
        self.finished[item] = arrays
        self.n_measured += 1
        self._release(item)

    def _release(self, item: Item) -> None:
        """Remove the lock's file of a finished item, where the system lets us."""
        with contextlib.suppress(OSError):
            self.store.path(item.record, ".lock").unlink(missing_ok=True)

    def _cost(self, item: Item) -> int:
        """Return about how many images go through the model."""
        settings = self.plan.settings
        return {
            "clean": len(self.data),
            "hybrid": settings.n_hybrid
            * len(settings.frequencies)
            * len(settings.seeds),
            "attack": len(item.rows) * settings.attack_steps * _BACKWARD,
            "corruption": settings.n_corruption * len(SEVERITIES),
        }[item.measurement]

    def _settled_cost(self) -> int:
        return sum(map(self._cost, [*self.finished, *self.failures]))

    def _show(self) -> None:
        """Put the bar where the settled items are."""
        count = len(self.finished) + len(self.failures)
        self._bar.n = self._settled_cost()
        n_failed = len(self.failures)
        n_failed += sum(bool(one.traceback) for one in self.plan.models)  # not loaded
        lost = f", {n_failed} failed" if n_failed else ""
        self._bar.set_postfix_str(f"{count}/{len(self.items)} items{lost}")

    def _step(self, items: list[Item]) -> Callable[[int], object]:
        """Return what moves the bar within a job."""
        units = {
            "clean": 1,
            "hybrid": len(self.plan.settings.seeds),
            "attack": len(items[0].rows),
            "corruption": len(SEVERITIES),
        }[items[0].measurement]
        share = self._cost(items[0]) / units
        return lambda n: self._bar.update(n * share)


def _jobs(items: list[Item]) -> list[list[Item]]:
    """Group what is measured together: all models that see one corruption."""
    jobs: dict[Any, list[Item]] = {}
    for item in items:
        is_shared = item.measurement == "corruption"
        jobs.setdefault(item.key if is_shared else item, []).append(item)
    return list(jobs.values())


def _turned(items: list[Item]) -> list[Item]:
    """Begin where this rank does, so that ranks meet at the end."""
    rank, n_ranks = rank_and_count()
    first = rank * len(items) // n_ranks
    return items[first:] + items[:first]


def shows_progress() -> bool:
    """Return whether this process is the one of its machine that draws the bar."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def rank_and_count() -> tuple[int, int]:
    """Return this process's rank and the number of ranks, as torchrun sets them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

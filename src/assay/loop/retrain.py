"""One retraining, from new rows to a new version that answers, or to the reason why not.

Each step is on record when it is done: a process that is killed is followed by one that goes on
where it was, and nothing is done twice. Whatever fails, production stays as it was.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.clock import duration
from assay.base.errors import Error
from assay.base.files import explain
from assay.base.progress import counted
from assay.bundle import contents as folders
from assay.bundle.contents import Contents
from assay.bundle.index import INDEX
from assay.data import stored
from assay.deploy import deploy as deploying
from assay.deploy import endpoints, registry
from assay.evaluate import judging
from assay.ledger import alerts, decisions, deployments
from assay.loop import growth, held_out, worktree
from assay.loop.growth import Grown
from assay.objects import scan
from assay.pipeline import command
from assay.project import declaration, definition
from assay.project.declaration import Declaration, Retrain
from assay.project.settings import Store
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.deploy.deploy import Deployed
    from assay.evaluate.gate import Answer, Verdict
    from assay.evaluate.judging import Judged
    from assay.ledger.database import Ledger
    from assay.ledger.decisions import Decision, Outcome

OWNER = "assay loop"
_KEEP_LINES = 60
_DONE = ("begun", "data", "run", "judged", "registered", "deployed")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a retraining works with.

    Attributes
    ----------
    source : str
        The commit that the code comes from.
    declared : Declaration
        As it is in that commit.
    say : callable
        Is told what happens, a line at a time.
    """

    project: Project
    ledger: Ledger
    endpoint: str
    branch: str
    source: str
    declared: Declaration
    say: Callable[[str], object]

    @property
    def retrain(self) -> Retrain:
        """The section `retrain`."""
        return self.declared.retrain or Retrain()


class NotTrained(Error):
    """The pipeline failed, took too long, or made no bundle."""


def retrain(job: Job, decision: Decision) -> Decision:
    """Do what a decision is about, from the step that it has reached, and return it finished.

    An error ends it as failed, with an alert; the interruption of this process leaves it as it
    is, for the next one.
    """
    try:
        tree = worktree.open_worktree(job.project, job.endpoint, branch=job.branch)
        found: Contents | None = None
        if not _has(decision, "judged"):
            found, decision = _train(job, tree, decision)
            decision = _judge(job, tree, found, decision)
        if decision.verdict != "pass":
            return _refuse(job, decision)
        return _replace(job, tree, decision)
    except Error as error:
        return fail(job, decision, error)
    except OSError as error:
        return fail(job, decision, explain(error, error.filename or job.project.root))
    except Exception as error:  # a defect: the next pass must not meet it again and again
        fail(job, decision, Error(f"this is a defect of Assay: {type(error).__name__}: {error}"))
        raise


def fail(job: Job, decision: Decision, error: Error) -> Decision:
    """End a decision that an error ended, and tell people."""
    reason = error.what if error.where is None else f"{error.what} ({error.where})"
    details = {"hint": error.hint} if error.hint else {}
    decisions.update(job.ledger, decision.id, details=details)
    done = decisions.finish(job.ledger, decision.id, outcome="failed", reason=reason)
    alerts.raise_alert(
        job.ledger,
        job.endpoint,
        monitor="retraining",
        severity="error",
        message=f"a retraining failed, production stays: {reason}",
        window_end=decision.window_end,
        details={"decision": decision.id, **details},
    )
    return done


def _has(decision: Decision, step: str) -> bool:
    return _DONE.index(decision.step) >= _DONE.index(step)


def _train(job: Job, tree: Project, decision: Decision) -> tuple[Contents, Decision]:
    """Give the work tree the new rows and the parameters, and run the pipeline in it."""
    began = time.monotonic()
    keep = growth.records(tree, job.declared)
    made = worktree.start(tree, source=job.source, decision=decision.id, keep=keep)
    if made is None:
        made, decision = _commit_data(job, tree, decision)
    decision = decisions.update(job.ledger, decision.id, step="data", commit=made)
    _run_pipeline(job, tree, decision)
    worktree.commit(tree, f"Lock of the retraining {decision.id}")
    found = _bundle(tree)
    folders.keep(found, job.project.objects)
    maker = registry.made_by(job.ledger, found.id)
    decision = decisions.update(
        job.ledger,
        decision.id,
        step="run",
        candidate=found.id,
        run=None if maker is None else registry.whole(job.ledger, maker).id,
        details={"seconds": {"train": round(time.monotonic() - began, 3)}},
    )
    return found, decision


def _commit_data(job: Job, tree: Project, decision: Decision) -> tuple[str, Decision]:
    grown: dict[str, Any] = {}
    if job.retrain.data is not None:
        added = growth.grow(
            tree,
            job.declared,
            traffic_dir=job.project.traffic_dir,
            endpoint=job.endpoint,
            until_ms=decision.window_end,
        )
        grown = msgspec.to_builtins(added)
        _profile(job, tree, added)
        job.say(f"{counted(added.n_rows, 'new row')} in {added.path}")
    growth.set_params(tree, job.retrain.params)
    decision = decisions.update(job.ledger, decision.id, details={"grown": grown})
    subject = f"Data and parameters of a retraining of {job.endpoint} ({decision.trigger})"
    parents = [job.source]
    made = worktree.commit(tree, subject, decision=decision.id, parents=parents)
    return made, decision


def _profile(job: Job, tree: Project, grown: Grown) -> None:
    """Make the statistics of the grown table, as adding it by hand does."""
    settings = Store(job.project)
    path = tree.root / grown.path
    content = scan.scan(path, tree.index, skip=tree.ignore)
    if not settings.value("profile.auto") or content.size > int(
        settings.value("profile.max_size")
    ):
        return
    try:
        stored.ensure(tree, path, content.oid)
    except Error as error:
        job.say(f"no profile of {grown.path}: {error.what}")


def _run_pipeline(job: Job, tree: Project, decision: Decision) -> None:
    """Run `assay repro` in a process group of its own, which ends when its time is over."""
    limit = declaration.seconds(job.retrain.limit)
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"ASSAY_RUN", "ASSAY_LEDGER", "DVC_ROOT", "DVC_STAGE"}
    }
    done = command.run(
        shlex.join([sys.executable, "-m", "assay", "--quiet", "repro"]),
        cwd=tree.root,
        env=env,
        echo=lambda _: None,
        keep_lines=_KEEP_LINES,
        limit=limit,
    )
    if done.is_over_limit:
        _keep_log(job, decision, done.tail)
        raise NotTrained(
            f"the pipeline took longer than {duration(limit)} and was ended",
            hint="make it faster, or raise 'retrain: limit' in assay.yaml",
        )
    if done.exit_status != 0:
        _keep_log(job, decision, done.tail)
        said = [line for line in done.tail.splitlines() if line.startswith("error: ")]
        why = said[-1].removeprefix("error: ") if said else f"exit status {done.exit_status}"
        raise NotTrained(
            f"the pipeline failed: {why}", hint=f"see 'assay decisions show {decision.id}'"
        )


def _keep_log(job: Job, decision: Decision, tail: str) -> None:
    decisions.update(job.ledger, decision.id, details={"log": tail[-4000:]})


def _bundle(tree: Project) -> Contents:
    """Return the bundle among the outputs of the pipeline."""
    found = [
        item.path
        for item in definition.read(tree).tracked
        if not item.stage.is_data and (item.path / INDEX).is_file()
    ]
    if len(found) == 1:
        return folders.read_folder(found[0])
    what = "no bundle" if not found else f"{len(found)} bundles"
    raise NotTrained(
        f"the pipeline made {what}, expected one",
        hint="let one training stage call assay.bundle(..., to=FOLDER), with FOLDER in its outs",
    )


def _judge(job: Job, tree: Project, found: Contents, decision: Decision) -> Decision:
    """Let the gate say whether the candidate may replace what answers now."""
    began = time.monotonic()
    live = endpoints.live(job.ledger, job.endpoint)
    if live is not None and live.bundle == found.id:
        return decisions.update(
            job.ledger,
            decision.id,
            step="judged",
            base=live.bundle,
            verdict="fail",
            reason="the pipeline made the bundle that answers already: nothing it reads is new",
        )
    base = None if live is None else f"{live.model}@{live.version}"
    rows = held_out.check(tree, job.declared, found, base=None if live is None else live.bundle)
    judged = judging.judge(tree, found.id, base=base, gate=True)
    judging.record(job.project, judged)
    verdict = judged.verdict
    if verdict is None:  # `gate=True` always asks for one
        raise Error("the gate gave no answer")
    answer, reason = _answer(job, decision, judged, verdict)
    seconds = decision.details.get("seconds", {}) | {"judge": round(time.monotonic() - began, 3)}
    return decisions.update(
        job.ledger,
        decision.id,
        step="judged",
        base=None if live is None else live.bundle,
        verdict=answer,
        reason=reason,
        details={"seconds": seconds, "rows": msgspec.to_builtins(rows), "judged": _values(judged)},
    )


def _answer(job: Job, decision: Decision, judged: Judged, verdict: Verdict) -> tuple[Answer, str]:
    """Return the gate's answer; a model that has become worse is replaced by a better one only.

    To pass, a candidate has to be no worse than production. Where production is what alerted,
    that is not enough: one that is as bad would start anew, and nobody would hear of it again.
    """
    watched = job.declared.monitor.performance if job.declared.monitor else None
    if verdict.answer != "pass" or decision.trigger != "performance" or watched is None:
        return verdict.answer, verdict.reason
    found = judged.report.evaluation.find(watched.metric)
    comparison = None if found is None else found.comparison
    low = None if comparison is None else comparison.interval.low
    if comparison is None or (low is not None and low > 0):
        return verdict.answer, verdict.reason
    return "inconclusive", (
        f"no worse than production, but not shown to be better in {watched.metric}, and it is "
        "production that has become worse"
    )


def _values(judged: Judged) -> dict[str, Any]:
    """Return each metric on all rows, of candidate and base."""
    found = {}
    for result in judged.report.evaluation.results:
        if result.slice is None:
            base = None if result.comparison is None else result.comparison.base.value
            found[result.metric] = {"candidate": result.candidate.value, "base": base}
    return found


def _refuse(job: Job, decision: Decision) -> Decision:
    outcome: Outcome = "inconclusive" if decision.verdict == "inconclusive" else "refused"
    reason = decision.reason or f"the gate says {decision.verdict}"
    return decisions.finish(job.ledger, decision.id, outcome=outcome, reason=reason)


def _replace(job: Job, tree: Project, decision: Decision) -> Decision:
    """Register the candidate, and let the endpoint answer with it."""
    if not _has(decision, "registered"):
        model = job.declared.model
        done = registry.register(
            tree,
            decision.candidate or "",
            name=None if model is None else model.name,
            description=f"retraining {decision.id}, {decision.trigger}",
        )
        version = f"{done.version.model}/{done.version.number}"
        decision = decisions.update(job.ledger, decision.id, step="registered", version=version)
    written = _written(job, decision)
    if written is None:
        live = endpoints.live(job.ledger, job.endpoint)
        if (None if live is None else live.bundle) != decision.base:
            return decisions.finish(
                job.ledger,
                decision.id,
                outcome="refused",
                reason=f"somebody deployed {live.name if live else 'nothing'} meanwhile, and the "
                "candidate was not judged against that",
            )
    deployed = _deploy(job, decision, written)
    job.say(deploying.sentence(deployed))
    decision = decisions.update(
        job.ledger, decision.id, step="deployed", deployment=deployed.deployment.id
    )
    for alert in alerts.list_alerts(job.ledger, job.endpoint, states={"open", "acknowledged"}):
        if alert.monitor == "retraining":
            note = f"{decision.version} was deployed"
            alerts.resolve(job.ledger, alert.id, note=note)
    return decisions.finish(
        job.ledger, decision.id, outcome="deployed", reason=decision.reason or "the gate passed"
    )


def _written(job: Job, decision: Decision) -> deployments.Deployment | None:
    """Return the deployment that a killed process wrote for the decision."""
    for one in deployments.list_deployments(job.ledger, job.endpoint):
        if (one.details or {}).get("decision") == decision.id:
            return one
    return None


def _deploy(job: Job, decision: Decision, written: deployments.Deployment | None) -> Deployed:
    declared = job.declared.deploy
    alias: str | None = deploying.ALIAS if declared is None else declared.alias
    if declared is not None and declared.endpoint != job.endpoint:
        alias = None  # `staging` beside the declared one moves none
    if written is not None:
        return deploying.go_on(job.ledger, written, alias=alias)
    return deploying.deploy(
        job.ledger,
        job.endpoint,
        version=decision.version or "",
        objects=job.project.objects,
        alias=alias,
        owner=OWNER,
        reason=f"retraining {decision.id}, {decision.trigger}",
        details={"decision": decision.id},
    )

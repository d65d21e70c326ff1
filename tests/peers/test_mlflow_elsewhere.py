"""What the hub has none of costs MLflow's clients that alone: the table of the differences."""

from __future__ import annotations

import pytest

from tests import mlflow

pytestmark = [pytest.mark.peer, mlflow.needs()]


def test_a_traced_function_returns_though_its_trace_is_lost(client: mlflow.Session) -> None:
    got, trace = client.run(
        """
@mlflow.trace
def double(x):
    with mlflow.start_run():
        mlflow.log_metric("x", x)
    return 2 * x
got = double(21)
mlflow.flush_trace_async_logging()
give([got, mlflow.get_trace("tr-1")])
"""
    )
    assert (got, trace) == (42, None)


@pytest.mark.parametrize(
    "script",
    [
        "mlflow.search_traces(locations=['0'])",
        "mlflow.log_feedback(trace_id='tr-1', name='a', value=1)",
        "mlflow.genai.create_dataset(name='d', experiment_id='0')",
        "mlflow.genai.scorers.list_scorers(experiment_id='0')",
        "client.create_webhook('w', 'https://example.com/', ['registered_model.created'])",
        "client.list_workspaces()",
    ],
)
def test_what_is_not_there_is_an_error_at_once(client: mlflow.Session, script: str) -> None:
    with pytest.raises(mlflow.Failed, match=r"failed with error code 404") as failed:
        client.run(f"import mlflow.genai\n{script}")
    assert failed.value.kind == "MlflowException"


def test_prompts_are_there(client: mlflow.Session) -> None:
    text, names, best = client.run(
        """
import mlflow.genai
from mlflow.genai.optimize import BasePromptOptimizer, PromptOptimizerOutput
class Louder(BasePromptOptimizer):
    def optimize(self, eval_fn, train_data, target_prompts, enable_tracking=True):
        louder = {name: text + "!" for name, text in target_prompts.items()}
        return PromptOptimizerOutput(optimized_prompts=louder)
@mlflow.genai.scorers.scorer
def any_answer(outputs):
    return True
made = mlflow.genai.register_prompt(name="greet", template="hi {{x}}")
mlflow.genai.set_prompt_alias("greet", alias="live", version=1)
best = mlflow.genai.optimize_prompts(
    predict_fn=lambda x: mlflow.genai.load_prompt("prompts:/greet/1").format(x=x),
    train_data=[{"inputs": {"x": "you"}, "outputs": "hi you"}],
    prompt_uris=[made.uri], optimizer=Louder(), scorers=[any_answer],
).optimized_prompts[0]
give([
    mlflow.genai.load_prompt("prompts:/greet@live").template,
    [one.name for one in mlflow.genai.search_prompts()],
    [best.version, best.template],
])
"""
    )
    assert text == "hi {{x}}"
    assert "greet" in names
    assert best == [2, "hi {{x}}!"]


def test_a_project_of_mlflows_is_run_and_recorded(
    client: mlflow.Session, hub: mlflow.Server
) -> None:
    run = client.run(
        """
import pathlib, sys, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text("import mlflow, sys\\nmlflow.log_metric('m', float(sys.argv[1]))")
(folder / "MLproject").write_text(
    "name: p\\nentry_points:\\n  main:\\n    parameters: {x: {default: 1}}\\n"
    f"    command: '{sys.executable} train.py {{x}}'\\n"
)
answers = os.dup(1)  # what the project prints is none
os.dup2(2, 1)
ran = mlflow.projects.run(str(folder), env_manager="local", parameters={"x": 3})
os.dup2(answers, 1)
give(ran.run_id)
"""
    )
    found = hub.call("GET", "runs/get", run_id=run)["run"]
    assert [(one["key"], one["value"]) for one in found["data"]["metrics"]] == [("m", 3.0)]
    assert {one["key"]: one["value"] for one in found["data"]["params"]} == {"x": "3"}

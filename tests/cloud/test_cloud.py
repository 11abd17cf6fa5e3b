"""sem-cloud with the real SDK, against a stand-in for Azure on the loopback."""

import _thread
import json
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from azure.ai.ml import load_job
from azure.ai.ml.entities import PipelineJob
from azure.identity import EnvironmentCredential
from azure_stub import NAMES, WORKSPACE, AzureStub, Credential, metadata, serve
from conftest import Run
from packaging.requirements import Requirement

from sem_lightning.cloud import rehearsal, score, submission, workspace
from sem_lightning.cloud.azure_settings import AzureSettings
from sem_lightning.cloud.jobs import build_job
from sem_lightning.cloud.steps import Step, plan
from sem_lightning.config.compose import config_folder
from sem_lightning.errors import UserError
from sem_lightning.export.graph import onnx_graph
from sem_lightning.inference.predictor import load
from sem_lightning.model.checkpoint import load_model
from sem_lightning.model.classifier import load_classifier
from sem_lightning.runtime.exported_folder import ExportedModel, write_exported

TINY = ("imaging.image_size=64", "num_per_class=10", "shares={train: 0.4, val: 0.2, test: 0.2, calibration: 0.2}")
SETTINGS = AzureSettings(
    **yaml.safe_load((config_folder() / "cloud" / "azure.yaml").read_text())
    | {key.removeprefix("cloud."): value for key, value in (each.split("=") for each in NAMES)}
    | {"compute": "cpu-cluster"}
)
QUICK = (
    "model=resnet18_small",
    "data.batch_size=8",
    "data.num_workers=0",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
)


@pytest.fixture
def azure(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureStub]:
    stub = AzureStub()
    server, certificate = serve(stub, tmp_path_factory.mktemp("azure"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setattr(workspace, "make_credential", Credential)
    monkeypatch.setattr(workspace, "client_options", lambda: metadata(stub))
    yield stub
    server.shutdown()
    server.server_close()
    assert not stub.unknown, stub.unknown


@pytest.fixture
def job(tmp_path: Path) -> PipelineJob:
    """A job whose code is one file."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").touch()
    return build_job([Step("train", "train", ())], SETTINGS, tmp_path / "code", "train")


def send(job: PipelineJob, folder: Path) -> None:
    client = workspace.connect(SETTINGS)
    workspace.check_workspace(client, SETTINGS)
    submission.submit(client, job, folder)


def written(folder: Path) -> Path:
    [output] = (folder / "outputs" / "cloud").iterdir()
    return output


def test_a_dry_run_writes_a_job_that_the_sdk_takes_and_sends_nothing(run: Run, azure: AzureStub) -> None:
    done = run("cloud", "action=pipeline", "dry_run=true", *NAMES, *TINY, *QUICK)
    assert done.code == 0, done.err
    job: Any = load_job(str(written(done.folder) / "job.yml"))
    assert job._validate().passed and sorted(job.jobs) == ["evaluate", "generate", "register", "train"]
    assert not azure.requests
    content = yaml.safe_load((written(done.folder) / "job.yml").read_text())
    assert content["jobs"]["train"]["inputs"]["images"]["path"] == "${{parent.jobs.generate.outputs.images}}"
    assert content["outputs"]["model"] == {"name": "sem-lightning", "type": "custom_model"}
    for node in content["jobs"].values():
        assert node["component"]["command"] in done.out
        packages = node["component"]["environment"]["conda_file"]["dependencies"][2]["pip"]
        assert any(each.startswith("torch>=") for each in packages)
    assert (written(done.folder) / "code" / "sem_lightning" / "commands" / "train.py").is_file()


def test_folders_here_are_uploaded_and_own_configs_come_along(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conf" / "noise").mkdir(parents=True)
    (tmp_path / "conf" / "noise" / "mine.yaml").write_text("defaults:\n  - high\n  - _self_\ndose: 7\n")
    (tmp_path / "conf" / "noise" / "high.yaml").write_text("dose: 123\n")  # ours comes first, there as here
    for name in ("good", "gap"):
        (tmp_path / "my images" / name).mkdir(parents=True)
    options = ("data=folder", "data.root=my images", "noise=mine", 'hydra.run.dir="a, b (1)"')
    done = run("cloud", "action=train", "dry_run=true", *options, *NAMES, *QUICK)
    assert done.code == 0, done.err
    job = yaml.safe_load(Path("a, b (1)/job.yml").read_text())["jobs"]["train"]
    assert job["inputs"]["data_root"]["path"] == str(tmp_path / "my images")
    assert job["component"]["code"] == "./code"
    assert "dose: 7" in Path("a, b (1)/code/conf/noise/mine.yaml").read_text()
    assert "123" not in Path("a, b (1)/code/conf/noise/high.yaml").read_text()


def test_a_step_runs_here_in_a_process_with_the_code_that_would_be_uploaded(run: Run) -> None:
    here = ("local=true", "num_workers=1", 'hydra.run.dir="John\'s a, b (1)"')
    done = run("cloud", "action=generate", *here, *TINY)
    assert done.code == 0, done.err
    assert len(list(Path("John's a, b (1)/images/set/gap").glob("*.png"))) == 10
    with pytest.raises(UserError, match="step odd: its command failed with exit code 1"):
        rehearsal.rehearse([Step("odd", "no_such_command", ())], Path("odd"), ())


@pytest.fixture
def one_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that run here do so in this process, which has imported already what each would import."""

    def run_line(command: list[str], cwd: Path, env: dict[str, str], check: bool) -> "subprocess.CompletedProcess[str]":
        _, _, module, *arguments = shlex.split(command[-1])
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MLflow about its files
            for name in ("MLFLOW_TRACKING_URI", "MLFLOW_ALLOW_FILE_STORE"):
                patch.setenv(name, env[name])
            done = run(module.rpartition(".")[2], *arguments)
        assert done.code == 0, done.err
        return subprocess.CompletedProcess(command, done.code)

    monkeypatch.setattr(rehearsal, "subprocess", SimpleNamespace(run=run_line))


def test_the_steps_run_here_as_they_are_wired_there(one_process: None, tmp_path: Path) -> None:
    folder = tmp_path / "John's a, b (1)"
    rehearsal.rehearse(plan("pipeline", ("num_workers=1", *TINY, *QUICK)), folder, ())
    trained = json.loads((folder / "run" / "result.json").read_text())
    judged = json.loads((folder / "report" / "report.json").read_text())
    assert trained["test_images"] == 6
    assert judged["confusion"] == trained["confusion"]  # the same unseen images, the same classifier
    assert load_classifier(folder / "model" / "model.safetensors").classes == ["good", "gap", "bridge"]
    shown = list((folder / "mlruns").rglob("metrics/test/accuracy"))  # what a workspace would show
    assert len(shown) == 2 and len({path.read_text().split()[1] for path in shown}) == 1  # of training and evaluation


def test_a_submitted_pipeline_is_what_was_written_and_nothing_secret_is_kept(run: Run, azure: AzureStub) -> None:
    done = run("cloud", "action=pipeline", "wait=true", *NAMES, *TINY, *QUICK)
    assert done.code == 0, done.err
    commands = [body["properties"]["componentSpec"]["command"] for body in azure.sent("PUT .*/components/")]
    assert len(commands) == 4 and all(command in done.out for command in commands)
    [job] = azure.sent(f"PUT {WORKSPACE}/jobs/")
    jobs = job["properties"]["jobs"]
    assert jobs["evaluate"]["inputs"]["run"]["value"] == "${{parent.jobs.train.outputs.run}}"
    assert azure.sent(r"PUT /blob/.*/sem_lightning/commands/train\.py$")
    name = json.loads((written(done.folder) / "submitted.json").read_text())["job"]
    assert f"job {name}: Completed" in done.out and f"job={name}" in done.out
    token = Credential().get_token().token.split(".")[0]
    kept = [path for path in done.folder.rglob("*") if path.is_file() and path.suffix not in (".safetensors", ".onnx")]
    assert not [path for path in kept if token in path.read_text() or "sig=" in path.read_text()]


def test_a_failed_job_is_an_exit_code(run: Run, azure: AzureStub) -> None:
    azure.job_states = ["Running", "Failed"]
    done = run("cloud", "action=train", "wait=true", *NAMES, *QUICK)
    assert done.code == 1 and "Failed" in done.err.splitlines()[-1]


def test_a_log_that_ends_before_the_job_does_is_no_end(
    azure: AzureStub, monkeypatch: pytest.MonkeyPatch, job: PipelineJob, tmp_path: Path, capsys: Any
) -> None:
    azure.job_states = [*["Finalizing"] * 8, "Completed"]
    answer = azure.answer

    def going_on(method: str, path: str, query: str, body: bytes) -> Any:
        if path.startswith("/history/"):
            return 200, {"runId": path.split("/")[-2], "status": "Completed", "logFiles": {}}, {}
        if method == "GET" and "/jobs/" in path and len(azure.job_states) > 1:
            azure.job_states.pop(0)
        return answer(method, path, query, body)

    monkeypatch.setattr(azure, "answer", going_on)
    monkeypatch.setattr(submission, "_POLL", 0.01)
    client = workspace.connect(SETTINGS)
    submission.wait_for(client, submission.submit(client, job, tmp_path))
    assert "Completed" in capsys.readouterr().out


def test_ctrl_c_while_waiting_says_how_to_stop_the_job(run: Run, azure: AzureStub, monkeypatch: Any) -> None:
    azure.job_states = ["Running"]
    answer = azure.answer

    def interrupting(method: str, path: str, query: str, body: bytes) -> Any:
        if path.startswith("/history/"):
            _thread.interrupt_main()
        return answer(method, path, query, body)

    monkeypatch.setattr(azure, "answer", interrupting)
    done = run("cloud", "action=train", "wait=true", *NAMES, *QUICK)
    assert done.code == 130 and "goes on in the cloud" in done.err and "action=cancel job=" in done.err
    monkeypatch.setattr(azure, "answer", answer)
    name = done.err.rpartition("job=")[2].strip()
    assert run("cloud", "action=cancel", f"job={name}", *NAMES).code == 0
    assert azure.sent(f"POST .*/jobs/{name}/cancel")


REFUSED = {"error": {"code": "AuthorizationFailed", "message": "you may not"}}
NO_QUOTA = {"error": {"code": "QuotaExceeded", "message": "Quota of 4 cores exceeded"}}


@pytest.mark.parametrize(
    ("pattern", "status", "said"),
    [
        ("GET .*/workspaces/litho$", 404, "workspace litho: not found"),
        ("GET .*/workspaces/litho$", 401, "workspace litho: no valid credentials; log in with az login"),
        ("GET .*/workspaces/litho$", 403, "workspace litho: refused"),
        ("PUT .*/jobs/", 429, "takes no more requests for now"),
        ("PUT .*/jobs/", 503, "try again later"),
        ("PUT .*/jobs/", 403, "you may not"),
        ("PUT .*/jobs/", 400, "quota does not suffice"),
    ],
)
def test_what_azure_refuses_is_one_line(
    azure: AzureStub, job: PipelineJob, tmp_path: Path, pattern: str, status: int, said: str
) -> None:
    azure.answers = [(pattern, status, NO_QUOTA if status == 400 else REFUSED)]
    with pytest.raises(UserError, match=said) as refused:
        send(job, tmp_path)
    assert "\n" not in str(refused.value)
    if "jobs" in pattern and status in (429, 503):  # what may pass is tried again
        assert len(azure.sent(pattern)) > 1


def test_an_expired_token_is_named(run: Run, azure: AzureStub) -> None:
    expired = {"error": {"code": "ExpiredAuthenticationToken", "message": "The access token expired."}}
    azure.answers = [("GET .*/workspaces/litho$", 401, expired)]
    done = run("cloud", "action=train", *NAMES, *QUICK)
    assert done.code == 1 and "the token has expired" in done.err
    assert not azure.sent("PUT")


def test_throttling_that_passes_is_not_noticed(
    azure: AzureStub, monkeypatch: pytest.MonkeyPatch, job: PipelineJob, tmp_path: Path
) -> None:
    azure.answers = [("GET .*/workspaces/litho$", 429, REFUSED)]
    answer = azure.answer

    def relenting(*arguments: Any) -> Any:
        found = answer(*arguments)
        azure.answers = []
        return found

    monkeypatch.setattr(azure, "answer", relenting)
    send(job, tmp_path)
    assert len(azure.sent("PUT .*/jobs/")) == 1
    assert [path for method, path, _ in azure.requests[:2]] == [WORKSPACE, WORKSPACE]  # asked, and asked again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("action=train", "cloud.compute=gpu-cluster", *NAMES), "no 'gpu-cluster' in litho, which has cpu-cluster"),
        (("action=train", "cloud.instance_type=DS3", *NAMES), "cloud.instance_type: found 'DS3'"),
        (("action=train", "cloud.compute=null", *NAMES), "cloud.compute: found null"),
        (("action=train", "noise.sgima=1", *NAMES), "noise.sgima"),
        (("action=train", "noise.dose=0", *NAMES), "noise.dose"),
        (("action=sweep", "noise=low,nonsense", *NAMES), "nonsense"),
        (("action=evaluate", *NAMES), "ckpt: needs a value"),
        (("action=fly",), "action: found 'fly'"),
        (("action=cancel",), "job: needs a value"),
        (("action=invoke", "image=nowhere.png", *NAMES), "nowhere.png: not a file"),
        (("action=invoke", "image=nowhere.png", "polarity=grey", *NAMES), "polarity: found 'grey'"),
        (("action=train", "polarity=dark", *NAMES), "polarity: is of the image"),
        (("action=delete", "noise=low", *NAMES), "noise=low"),
        (("action=deploy", "cloud.model=a/b", *NAMES), "cloud.model: found 'a/b'"),
        (("action=deploy", "cloud.endpoint=Big_One", *NAMES), "cloud.endpoint"),
        (("action=train",), "cloud.subscription_id: needs a value"),
        (("action=train", "cloud.config_file=nowhere.json"), "cloud.config_file"),
        (("action=sweep", "local=true", "seed=0,1"), "local"),
        (("action=sweep", "experiment=noise_sweep", "trainer.max_epochs=1,2", *NAMES), "write it out"),
        (("action=train", "model.learning_rate=-1", *NAMES), "model.learning_rate"),
        (("action=train", "data=folder", *NAMES), "data.root: needs a value"),
        (("action=train", "cloud.instance_type=Standard_NC6", *NAMES), "cloud.instance_type: does nothing on"),
        (("action=train", "dry_run=true", "local=true"), "dry_run"),
        (("action=train", "dry_run=true", "wait=true", *NAMES), "wait"),
        (("action=deploy", "cloud.deployment=x2", *NAMES), "cloud.deployment"),
        (("action=train", "local=true", "data=folder", "data.root=azureml:x:1"), "which only the cloud has"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_anything_is_sent(
    run: Run, azure: AzureStub, arguments: tuple[str, ...], said: str
) -> None:
    done = run("cloud", *arguments)
    assert done.code == 1 and said in done.err.splitlines()[-1], done.err
    assert not azure.sent("PUT|POST|DELETE")


def test_no_credentials_and_no_network_are_named(
    azure: AzureStub, monkeypatch: pytest.MonkeyPatch, job: PipelineJob, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(workspace, "make_credential", EnvironmentCredential)
        with pytest.raises(UserError, match="log in with az login"):
            send(job, tmp_path)
    azure.url = "https://127.0.0.1:9"  # nobody listens
    options = metadata(azure) | {"retry_total": 0}
    monkeypatch.setattr(workspace, "client_options", lambda: options)
    with pytest.raises(UserError, match="cannot be reached"):
        send(job, tmp_path)


def test_a_workspace_is_found_by_its_config_json_in_a_folder_above(run: Run, azure: AzureStub, tmp_path: Path) -> None:
    names = dict(each.removeprefix("cloud.").split("=") for each in NAMES)
    content = {"subscription_id": names["subscription_id"], "resource_group": "fab", "workspace_name": "litho"}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert run("cloud", "action=cancel", "job=x").code == 0
    assert azure.sent(f"POST {WORKSPACE}/jobs/x/cancel")
    (tmp_path / "config.json").write_text("{")
    done = run("cloud", "action=cancel", "job=x")
    assert done.code == 1 and "config.json: not a workspace's" in done.err


def test_a_grid_becomes_a_sweep_that_compares_accuracies(run: Run, azure: AzureStub) -> None:
    done = run("cloud", "action=sweep", "noise=low,high", "seed=0,1", *NAMES, *QUICK)
    assert done.code == 0, done.err
    [job] = azure.sent(f"PUT {WORKSPACE}/jobs/")
    [sweep] = job["properties"]["jobs"].values()
    assert sweep["search_space"] == {"noise": {"type": "choice", "values": ["low", "high"]}} | {
        "seed": {"type": "choice", "values": ["0", "1"]}
    }
    assert sweep["objective"] == {"goal": "maximize", "primary_metric": "test/accuracy"}
    assert sweep["limits"]["max_total_trials"] == 4


def test_a_classifier_is_deployed_asked_and_deleted(
    run: Run, azure: AzureStub, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("cloud", "action=deploy", f"cloud.model={checkpoint}", "dry_run=true", "hydra.run.dir=dry", *NAMES)
    assert done.code == 0 and not azure.requests, done.err
    assert Path(yaml.safe_load(Path("dry/deployment.yml").read_text())["model"]["path"], "model.safetensors").is_file()
    done = run("cloud", "action=deploy", "cloud.model=sem-lightning:3", *NAMES)
    assert done.code == 0, done.err
    [deployment] = azure.sent("PUT .*/deployments/blue$")
    assert deployment["properties"]["codeConfiguration"]["scoringScript"] == "sem_lightning/cloud/score.py"
    assert azure.sent("PUT .*/onlineEndpoints/sem-lightning$")[-1]["properties"]["traffic"] == {"blue": 100}
    assert yaml.safe_load((written(done.folder) / "deployment.yml").read_text())["endpoint_name"] == "sem-lightning"

    monkeypatch.setenv("AZUREML_MODEL_DIR", str(checkpoint.parent))
    score.init()
    azure.score = score.score  # our scoring code, behind a real HTTP server
    noise = np.random.default_rng(0).integers(0, 255, (80, 90), np.uint8)
    cv2.imwrite(str(tmp_path / "scan.png"), noise)
    done = run("cloud", "action=invoke", f"image={tmp_path / 'scan.png'}", *NAMES)
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    run("predict", f"ckpt={checkpoint}", f"images={tmp_path / 'scan.png'}", "output=said.csv", "jsonl=said.jsonl")
    [said] = [json.loads(line) for line in Path("said.jsonl").read_text().splitlines()]
    assert answer["decision"] == said["decision"] and answer["label"] == said["label"]
    assert "ood_score" in answer and answer["ood_score"] == said["ood_score"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    done = run("cloud", "action=invoke", f"image={tmp_path / 'scan.png'}", "polarity=dark", *NAMES)
    assert done.code == 0, done.err
    cv2.imwrite(str(tmp_path / "negative.png"), 255 - noise)
    inverted = run("cloud", "action=invoke", f"image={tmp_path / 'negative.png'}", *NAMES)
    assert json.loads(done.out)["probabilities"] == pytest.approx(json.loads(inverted.out)["probabilities"], abs=2e-6)
    assert json.loads(done.out)["probabilities"] != answer["probabilities"]

    (tmp_path / "broken.png").write_bytes(b"no image")
    done = run("cloud", "action=invoke", f"image={tmp_path / 'broken.png'}", *NAMES)
    assert done.code == 1 and "broken.png" in done.err
    assert run("cloud", "action=delete", *NAMES).code == 0
    done = run("cloud", "action=delete", *NAMES)
    assert done.code == 1 and "endpoint sem-lightning: not found" in done.err


def test_an_exported_folder_is_deployed_without_torch_and_answers_as_its_checkpoint(
    run: Run, azure: AzureStub, checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    model = load_model(checkpoint)
    files = {"network.onnx": onnx_graph(model.net, model.settings.image_size)}
    write_exported(ExportedModel(model.settings, model.rule, "onnx", "fp32", files, {}, tmp_path / "line"))
    done = run("cloud", "action=deploy", "cloud.model=line", "dry_run=true", "hydra.run.dir=dry", *NAMES)
    assert done.code == 0 and not azure.requests, done.err
    deployment = yaml.safe_load(Path("dry/deployment.yml").read_text())
    packages = deployment["environment"]["conda_file"]["dependencies"][2]["pip"]
    named = {Requirement(each).name for each in packages}
    assert "onnxruntime" in named and not {"torch", "lightning", "opencv-python", "openvino"} & named

    cv2.imwrite("scan.png", np.random.default_rng(0).integers(0, 255, (80, 90), np.uint8))
    program = (  # what the endpoint does, with the code and the model that are uploaded
        "import base64, json, sys; from sem_lightning.cloud import score; score.init()\n"
        "image = base64.b64encode(open(sys.argv[1], 'rb').read()).decode()\n"
        "print(json.dumps(score.score(json.dumps({'image': image}).encode())), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "scan.png")]
    paths = {"PYTHONPATH": str(Path("dry/code").resolve()), "AZUREML_MODEL_DIR": deployment["model"]["path"]}
    asked = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    (status, answer), imported = json.loads(asked.stdout.rpartition(" ")[0]), asked.stdout.split()[-1]
    (said,) = load(checkpoint, device="cpu").predict(tmp_path / "scan.png")
    assert status == 200 and imported == "False" and answer["decision"] == said.decision
    assert answer["probabilities"] == pytest.approx(said.probabilities, abs=1e-4)
    (tmp_path / "line" / "network.onnx").write_bytes(b"")
    done = run("cloud", "action=deploy", "cloud.model=line", "dry_run=true", *NAMES)
    assert done.code == 1 and "network.onnx: damaged" in done.err


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"image": 3}',
        b'{"image": "???"}',
        b'{"image": ""}',
        b'{"image": "aGk=", "name": "a.\\u0000"}',
        b"[" * 100000,
        b'{"image": "aGk=", "polarity": "grey"}',
        b'{"image": "aGk=", "polarity": []}',
    ],
)
def test_a_request_that_is_none_gets_400(body: bytes, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(checkpoint.parent))
    score.init()
    status, answer = score.score(body)
    assert status == 400 and answer["error"]["message"]

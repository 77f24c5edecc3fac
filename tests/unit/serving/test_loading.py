import subprocess
import sys


def test_the_api_starts_without_tensorflow() -> None:
    """It would take seconds of the first request, and hundreds of MiB of every worker."""
    code = (
        "import sys; import recsys.serving.app, recsys.serving.lists, recsys.serving.service; "
        "sys.exit(' '.join({'keras', 'tensorflow', 'mlflow'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Loaded: {done.stderr}"

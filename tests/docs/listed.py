"""What runs otherwise than it stands in the documents, and what does not run at all, each with its reason."""

from __future__ import annotations

PYTORCH = "needs PyTorch"
INSTALLS = "installs into an environment of its own"
PLACEHOLDER = "stands for many commands (NAME, WHERE)"
LONG = "measures for minutes"
MPI = "needs an MPI launcher; tests/processes runs it where there is one"
PROCESSES = "needs an MPI library, and machines; tests/processes runs it on one"
DISTRIBUTIONS = "tests/test_distributions.py runs it where a wheel is installed"

# By document: beginnings of commands, or of blocks' first lines.
NOT_RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "make ": INSTALLS,
        "python3 -m venv": INSTALLS,
        ".venv/bin/python -m pip": INSTALLS,
        ".venv/bin/cnntrain": "run below, with what they print",
        "NUMBA_NUM_THREADS=1 .venv/bin/python -m pytest": "runs all tests",
        "pip install 'cnntrain[mpi]'": INSTALLS,
        "mpiexec": MPI,
        "cnntrain new": DISTRIBUTIONS,
        "cnntrain data download mnist": "fetches from the network",
        "cnntrain train mnist.yaml": DISTRIBUTIONS,
        "cnntrain eval runs/mnist-1": DISTRIBUTIONS,
        "cnntrain predict runs/mnist-lenet5-1 my-digits/": "needs pictures of digits; docs/photos.md runs it",
    },
    "docs/clusters.md": {"pip install": INSTALLS, "mpiexec ": PROCESSES, "python benchmarks/processes.py": LONG},
    "docs/deploy.md": {"from lenet import": PYTORCH},  # tests/export/test_torch_live.py runs it
    "docs/kernels.md": {"# NUMBA_CACHE_DIR=$(mktemp -d) python this.py": "compiles anew, and depends on the processor"},
    "docs/performance.md": {
        "python benchmarks/compare.py": LONG,
        "python benchmarks/busy.py": LONG,
        "python benchmarks/rounding.py": PYTORCH,
        "python benchmarks/start_up.py": LONG,
        "python benchmarks/processes.py": LONG,
        "OMP_NUM_THREADS=1 cnntrain bench": LONG,
    },
    "docs/photos.md": {"find /media/camera": "needs a camera"},
    "docs/prove.md": {"cnntrain prove --mutants": "compiles kernels anew for minutes"},
    "docs/records.md": {
        "cnntrain reproduce": "trains with all of MNIST or CIFAR-10",
        "time cnntrain": "measures",
        "python benchmarks/recipe_pytorch.py": PYTORCH,
    },
    "docs/results.md": {"cnntrain ": PLACEHOLDER, "python benchmarks/recipe_pytorch.py": PYTORCH},
}

# Beginnings of commands, and what is added: {mnist} is the folder with all of MNIST, where otherwise there is a part.
STAND_INS: dict[str, list[str]] = {
    "cnntrain gradcheck configs/mnist-lenet5.yaml": ["--set", "data.path={mnist}"],
    "cnntrain train small.yaml": ["--set", "data.validation=11500"],
    "cnntrain train configs/mnist-digits-5-9.yaml": [
        "--set",
        "data.validation=5500",
        "--set",
        "train.epochs=1",
    ],
}

DATA = "data: {source: mnist, path: data/mnist}\n"
OPTIMIZER = "optimizer: {sgd: 0.05}\n"
LAYERS = "network: [dense: classes]\n"

# By the first line of a YAML block: the file that later commands read.
FILES = {"# small.yaml": "small.yaml", "network:": "block.yaml"}
WRONG = """data: {source: mnist, path: data/mnist, valdation: 5000}
network:
  - tanh
  - maxpool2d: 2
  - conv2d: {filters: 0, kernel_size: 5, stride: two}
  - dense: classes
optimizer:
  sgd: {learning_rate: -0.1}
"""

# By the first words of a block of text: it is what a command prints, after text of a file was replaced.
PRINTED: dict[tuple[str, str], tuple[str, tuple[str, str, str] | None]] = {
    ("README.md", "small.yaml:6:17"): (
        "cnntrain check small.yaml",
        ("small.yaml", "max_pool2d: 2 ", "max_pool2d: 40"),
    ),
    ("docs/config.md", "block.yaml:7:11"): (
        "cnntrain check block.yaml",
        ("block.yaml", "            - conv2d: {filters: 8,", "            - conv2d: {filters: 9,"),
    ),
    ("docs/gradcheck.md", "configs/mnist-lenet5.yaml: 20 images"): (
        "cnntrain gradcheck configs/mnist-lenet5.yaml",
        None,
    ),
}

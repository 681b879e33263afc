"""Indices of sparse tensors that lie outside of them: an error of torch's, and no memory of the process."""

import zipfile

import pytest
import torch
from torch import Tensor, nn
from zoo import torchscript as zoo
from zoo.samples import HOME

from kmr_cli import open_model
from kmr_cli.errors import KmrError, ModelLoadError, ModelRunError
from kmr_cli.scan.scan import scan

FAR = 99_999_999
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")


class Coordinates(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        places = torch.full([1, 1], 99_999_999, dtype=torch.int64)
        return x + torch.sparse_coo_tensor(places, torch.ones([1]), [4]).to_dense().sum()


class Columns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        places = torch.full([4], 99_999_999, dtype=torch.int64)
        return x + torch.sparse_csr_tensor(torch.arange(5), places, torch.ones([4]), [4, 4]).to_dense().sum()


class Rows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        places = torch.tensor([0, 1, 2, 3, 99_999_999])
        return x + torch.sparse_csc_tensor(places, torch.arange(4), torch.ones([4]), [4, 4]).to_dense().sum()


@pytest.mark.parametrize("kind", [Coordinates, Columns, Rows])
def test_made_by_code(kind, tmp_path):
    path = tmp_path / "model.pt"
    zoo.save(zoo.script(kind()), path)
    with open_model(path) as model, pytest.raises(ModelRunError, match="forward pass failed") as raised:
        model.sample("*", 0, shapes={"x": (3,)})
    assert "killed" not in raised.value.message


class Held(nn.Module):
    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.weight @ torch.ones(4, 4)).sum()


LAYOUTS = {"coordinates": Tensor.to_sparse, "columns": Tensor.to_sparse_csr}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_written_in_the_file(layout, tmp_path):
    whole, path = tmp_path / "whole.pt", tmp_path / "model.pt"
    zoo.save(zoo.script(Held(zoo.quietly(LAYOUTS[layout], torch.eye(4)))), whole)
    with open_model(whole) as model:
        assert model.sample("*", 0, shapes={"x": (3,)})
    changed = 0
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if data in (torch.arange(4).numpy().tobytes(), torch.arange(4).repeat(2).numpy().tobytes()):
                data = torch.full([len(data) // 8], FAR).numpy().tobytes()
                changed += 1
            new.writestr(name, data)
    assert changed == 1
    with open_model(path) as model, pytest.raises((ModelLoadError, ModelRunError)) as raised:
        model.sample("*", 0, shapes={"x": (3,)})
    assert "killed" not in raised.value.message
    assert str(FAR) in raised.value.message or "col_indices" in raised.value.message


@pytest.mark.parametrize("name", ["windows.pt", "windows.pt2"])
def test_torch_looks_at_them_in_both_formats(name, tmp_path, monkeypatch):
    code = "import torch\nraise RuntimeError(f'{torch.sparse.check_sparse_tensor_invariants.is_enabled()}')\n"
    (tmp_path / "kmr_asks_torch.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with open_model(HOME / name, imports=["kmr_asks_torch"]) as model, pytest.raises(KmrError, match=r"Error: True"):
        model.sample("head", 0, shapes={"image": (8, 8, 1)})


class Neighbours(nn.Module):
    """A sparse matrix of neighbours, made by code, and a ReLU in place."""

    def forward(self, x: Tensor) -> Tensor:
        places = torch.stack([torch.arange(4), torch.arange(4)])
        return (torch.sparse_coo_tensor(places, torch.ones([4]), [4, 4]) @ x.t()).t().relu_()


def test_an_activation_in_place_changes_no_index(tmp_path):
    path = tmp_path / "model.pt"
    zoo.save(zoo.script(Neighbours()), path)
    assert scan(path).verdict == "pass"
    with open_model(path) as model:
        assert model.sample("*", 0, shapes={"x": (4,)})

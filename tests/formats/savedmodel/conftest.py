"""The models of the zoo, each built once: to make and save one with TensorFlow takes seconds."""

import pytest
from zoo import savedmodel as zoo


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Gives the path of a model of the zoo, by its name; nobody changes what is there."""
    made = {}

    def build(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            arguments = [folder / "vocabulary.txt"] if name == "tf1_table" else []
            made[name] = getattr(zoo, name)(folder / name, *arguments)
        return made[name]

    return build

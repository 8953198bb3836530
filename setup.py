"""What pyproject.toml cannot say: the packages below opentad_bi, and among them the folders of configs/."""

from setuptools import find_namespace_packages, setup

ours = find_namespace_packages(include=["opentad_bi", "opentad_bi.*"])
configs = [f"opentad_bi.configs.{name}" for name in find_namespace_packages("configs")]
setup(packages=[*ours, "opentad_bi.configs", *configs])

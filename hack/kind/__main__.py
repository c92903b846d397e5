# SPDX-License-Identifier: Apache-2.0
"""``python -m kind``: print what ``e2e.sh`` applies. Exit code 1 and the reason if it cannot."""

from __future__ import annotations

from typing import TextIO

import click
import yaml

from kind.errors import KindError
from kind.manifests import api_server, manifests


@click.command()
@click.option("--image", required=True, help="The agent's image, as the nodes know it.")
@click.option(
    "--kubeconfig",
    type=click.File(),
    required=True,
    help="What `kind get kubeconfig --internal` prints.",
)
def main(image: str, kubeconfig: TextIO) -> None:
    """Print the shipped manifests, made to fit the kind cluster."""
    try:
        objects = manifests(image, api_server(kubeconfig.read()))
    except KindError as error:
        raise click.ClickException(str(error)) from error
    click.echo(yaml.safe_dump_all(objects, sort_keys=False), nl=False)


if __name__ == "__main__":
    main()

"""``msloss-sirr peers``; everything heavy is imported only when it runs."""

from pathlib import Path

from msloss_sirr.cli.terminal import say
from msloss_sirr.errors import InputError
from msloss_sirr.peers.config import PeersConfig

FILE, PAGE = "peers.csv", "peers.md"


def run_peers(config: PeersConfig) -> None:
    """Set methods side by side, or write the page of results again, and say where it is."""
    from msloss_sirr.ablation.results import read_results, write_results
    from msloss_sirr.files import whole_file
    from msloss_sirr.peers.comparing import STUDY, compare
    from msloss_sirr.peers.page import page

    out = config.out or config.report or Path()
    out.mkdir(parents=True, exist_ok=True)
    if config.report is None:
        write_results(compare(config, say), out / FILE)
    results = read_results((config.report or out) / FILE)
    if results.head.study != STUDY:
        raise InputError(f"{(config.report or out) / FILE} holds other results; msloss-sirr ablate --report takes them")
    with whole_file(out / PAGE) as partial:
        partial.write_text(page(results), encoding="utf-8")
    say(str(out / PAGE))

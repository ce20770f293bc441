"""Find problems on this computer, and print the fix for each. Changes nothing and never starts the daemon.

Exits with 0 if nothing is broken, else with 1. --report leaves out names of connections, your home directory,
your user name and the host name, so that you can paste it into a bug report.
"""

import argparse
import re

from nexo_cli.diagnosis import diagnose, redactor
from nexo_cli.errors import Exit
from nexo_cli.findings import DoctorFinding, Level
from nexo_cli.format import GAP, Span, Style, display_width, padded
from nexo_cli.session import Session
from nexo_client import records

_MARKS = {Level.OK: ("✓", Style.GOOD), Level.WARNING: ("!", Style.WARNING), Level.BROKEN: ("✗", Style.BAD)}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare how findings are printed."""
    parser.add_argument("--report", action="store_true", help="redacted, to paste into a bug report")


def run(arguments: argparse.Namespace, session: Session) -> int:
    """Print every finding; the exit code is 1 if one is broken."""
    findings = list(diagnose(session))
    if arguments.report:
        findings = _redacted(findings)
    broken = sum(finding.level is Level.BROKEN for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    if session.json:
        session.printer.json(
            {
                "ok": not broken,
                "findings": records.plain(findings),
            }
        )
        return Exit.FAILED if broken else Exit.OK
    size = min(max(display_width(finding.topic) for finding in findings), 24)
    for finding in findings:
        mark, style = _MARKS[finding.level]
        session.printer.line(
            Span(f"{mark} ", style), Span(padded(finding.topic, size + GAP), Style.FAINT), finding.text
        )
        if finding.fix:
            session.printer.line(Span(f"{' ' * (size + 4)}fix: ", Style.STRONG), finding.fix)
    session.printer.line()
    if broken:
        session.printer.line(Span(f"{broken} broken, {warnings} to look at.", Style.BAD))
    elif warnings:
        session.printer.line(Span(f"Nothing is broken; {warnings} to look at.", Style.WARNING))
    else:
        session.printer.line(Span("Everything is in order.", Style.GOOD))
    return Exit.FAILED if broken else Exit.OK


def _redacted(findings: list[DoctorFinding]) -> list[DoctorFinding]:
    redact = redactor()
    names: dict[str, str] = {}
    for finding in findings:
        kind, _, name = finding.topic.partition(" ")
        if kind in ("connection", "workspace") and name:
            names.setdefault(name, f"{kind}-{len(names) + 1}")

    def clean(text: str) -> str:
        for name, hidden in names.items():
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", hidden, text)
        return redact(text)

    return [DoctorFinding(clean(f.topic), f.level, clean(f.text), clean(f.fix)) for f in findings]

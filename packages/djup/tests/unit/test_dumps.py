"""What plain SQL asks for, as it streams by in pieces of any size."""

import pytest

from djup.data.dump_scan import Scan

DUMP = rb'''--
-- PostgreSQL database dump
--
\restrict x1
SET statement_timeout = 0;
CREATE TABLE public.t (a text);
ALTER TABLE public.t OWNER TO bob;
COPY public.t (a) FROM stdin;
ALTER TABLE public.t OWNER TO row;
\\connect row
\.
COPY public.empty (a) FROM stdin;
\.
GRANT SELECT ON TABLE public.t TO "Odd ""name""";
GRANT ALL ON SCHEMA public TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE carol IN SCHEMA public GRANT SELECT ON TABLES TO dave;
CREATE POLICY p ON public.t FOR SELECT TO erin, frank USING (true);
\unrestrict x1
--
-- PostgreSQL database dump complete
--
'''


def scanned(text: bytes, size: int) -> Scan:
    scan = Scan()
    for begin in range(0, len(text), size):
        scan.take(text[begin : begin + size])
    scan.end()
    return scan


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1 << 20])
def test_roles_are_found_outside_of_rows(size: int) -> None:
    found = scanned(DUMP, size)
    assert found.roles == {"bob", 'Odd "name"', "carol", "dave", "erin", "frank"}
    assert not found.leaves and not found.cut_off


@pytest.mark.parametrize("end", [len(DUMP) // 3, DUMP.index(b"\\.\n"), len(DUMP) - 40])
def test_an_end_that_is_missing_is_missed(end: int) -> None:
    assert scanned(DUMP[:end], 64).cut_off


@pytest.mark.parametrize(
    "line", [r"\connect other", r"\c other", r"\! rm -rf /", "DROP DATABASE x;", "\\i file"]
)
def test_what_leaves_the_database_is_told(line: str) -> None:
    assert scanned(f"select 1;\n{line}\n".encode(), 5).leaves == line


def test_a_long_line_does_not_fill_the_memory() -> None:
    scan = Scan()
    for _ in range(64):
        scan.take(b"x" * (1 << 20))
    assert len(scan.rest) <= 1 << 18
    scan.take(b"\nALTER TABLE t OWNER TO bob;\n")
    assert scan.roles == {"bob"}

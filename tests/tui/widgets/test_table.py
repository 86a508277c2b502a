"""A table of many rows holds a part of them."""

from functools import partial

from textual.app import App, ComposeResult

from tomoseg_tui.tui.widgets.table import MAX_ROWS, Table

COUNT = 10_000


class TableApp(App[None]):
    """Shows one table, and counts the rows whose cells are made."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def compose(self) -> ComposeResult:
        yield Table("number")

    @property
    def table(self) -> Table:
        return self.query_one(Table)

    def show(self, numbers: range) -> None:
        self.table.show_rows([(str(number), partial(self._cells, number)) for number in numbers])

    def _cells(self, number: int) -> tuple[str]:
        self.made += 1
        return (f"row {number}",)


async def test_keys_reach_every_row_though_few_are_held() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 20)) as pilot:
        app.show(range(COUNT))
        for keys, number in (
            ("j", 1),
            ("G", COUNT - 1),
            ("k", COUNT - 2),
            ("g", 0),
            ("ctrl+d " * (MAX_ROWS // 16), None),
            ("j " * 20, None),
        ):
            before, app.made = app.table.index, 0
            await pilot.press(*keys.split())
            await pilot.pause()
            expected = number if number is not None else app.table.index
            assert (app.table.index, app.table.row_key) == (expected, str(expected))
            assert number is not None or app.table.index >= before + 20
            assert app.table.row_count <= MAX_ROWS
            assert app.made <= 2 * MAX_ROWS
        assert app.table.index > MAX_ROWS


async def test_the_cursor_stays_on_its_row_when_others_come_and_go() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 20)) as pilot:
        app.show(range(COUNT))
        assert app.table.select("7000")
        assert not app.table.select("x")
        for numbers in (range(5, COUNT), range(6990, 7010), range(1000, COUNT, 2)):
            app.show(numbers)
            await pilot.pause()
            assert (app.table.row_key, app.table.index) == ("7000", numbers.index(7000))
        app.show(range(30))
        await pilot.pause()
        assert app.table.row_key == "29"
        app.show(range(0))
        await pilot.pause()
        assert app.table.row_key is None

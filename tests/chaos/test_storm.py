"""The storm's short form; `make chaos` runs the long one."""

from pathlib import Path

import pytest

from tests.chaos.storm import SHORT, Storm


@pytest.mark.timeout(400)
async def test_nobody_is_called_twice_lost_or_at_a_wrong_moment_in_a_storm(tmp_path: Path) -> None:
    report = await Storm(SHORT, tmp_path, lambda *_: None).run()

    assert report.findings == []
    assert all(peak <= limit for peak, limit in report.peaks.values())
    assert report.states.keys() <= {"completed", "failed"}
    # It was a storm.
    assert report.troubles["workers killed"] == SHORT.kills
    assert report.troubles["mongod killed and restarted"] == 1
    assert report.rescued > 0

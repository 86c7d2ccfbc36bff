"""What is known of a previewed list's contacts."""

from app.domain.available_variables import AvailableVariables
from app.domain.errors import NotFound
from app.domain.ports import Uploads
from app.domain.uploads import Upload
from app.domain.variables import own_variables


async def variables_of(uploads: Uploads, upload: Upload) -> AvailableVariables:
    """Which variables they bring along. Raises NotFound if it expires meanwhile."""
    return (await counted(uploads, upload)).variables or AvailableVariables()


async def counted(uploads: Uploads, upload: Upload) -> Upload:
    """What was counted when the file was read; of an upload older than that, counted now. Raises NotFound."""
    if upload.variables is not None:
        return upload
    variables, zones = AvailableVariables(), set[str]()
    number = 0
    while variables.contacts < upload.contact_count:
        rows = await uploads.piece(upload.upload_id, number)
        if not rows:
            raise NotFound("upload_not_found", upload_id=upload.upload_id)
        for row in rows:
            variables.count(row.row_number, own_variables(row.contact))
        zones |= {row.contact.timezone for row in rows if row.contact.timezone}
        number += 1
    return upload.model_copy(update={"variables": variables, "time_zones": sorted(zones)})

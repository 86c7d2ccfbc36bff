"""Which variables a previewed list brings along."""

from app.domain.available_variables import AvailableVariables
from app.domain.ports import Uploads
from app.domain.uploads import Upload
from app.domain.variables import own_variables


async def variables_of(uploads: Uploads, upload: Upload) -> AvailableVariables:
    """Counted when the file was read; of an upload older than that, counted now. Raises NotFound if it expires."""
    if upload.variables is not None:
        return upload.variables
    counted = AvailableVariables()
    async for chunk in uploads.contacts(upload.upload_id):
        for row in chunk:
            counted.count(row.row_number, own_variables(row.contact))
    return counted

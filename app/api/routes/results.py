"""/batches/{batch_id}/results: what came of a batch, as a file."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.api.deps import ContainerDep, LanguageDep
from app.api.downloads import WORKBOOK, Download, download_headers, file_reply
from app.api.openapi import problems
from app.api.schemas.common import AnyCase
from app.domain.messages import Language
from app.domain.results import Per, ResultColumn
from app.integrations.spreadsheets.csv_writer import MEDIA_TYPE as CSV
from app.integrations.spreadsheets.csv_writer import Separator
from app.services.jobs import ShownStatus
from app.services.results import Wanted

router = APIRouter(prefix="/batches/{batch_id}", tags=["batches"])

_WORKBOOK_REPLIES = {**file_reply(WORKBOOK), **problems(404, 409, 429)}
_CSV_REPLIES = {**file_reply("text/csv"), **problems(404, 409, 429)}
_SEPARATORS: dict[Language, Separator] = {"es": ";", "en": ","}
"""What Excel expects where the language is spoken."""


async def _wanted(
    per: Annotated[
        Per, AnyCase, Query(description="A line for each contact, or for each finished call to one.")
    ] = Per.CONTACT,
    status: Annotated[
        ShownStatus | None, AnyCase, Query(description="Only contacts with this status, or the calls to them.")
    ] = None,
    columns: Annotated[
        list[Annotated[ResultColumn, AnyCase]] | None,
        Query(
            max_length=len(ResultColumn),
            description=(
                "Which columns, in which order: `columns=row&columns=status`. `phones`, `custom_fields` and "
                "`collected` are several each."
            ),
        ),
    ] = None,
) -> Wanted:
    return Wanted(per, status, columns)


WantedDep = Annotated[Wanted, Depends(_wanted)]


@router.get(
    "/results.xlsx",
    summary="The results of a batch as a workbook",
    response_class=Response,
    responses=_WORKBOOK_REPLIES,
)
async def download_results(
    batch_id: str, wanted: WantedDep, container: ContainerDep, language: LanguageDep
) -> Response:
    """Every text is a text and never a formula; headers and words are in the language asked for. Each contact is as
    it was when its line was written. The file comes when all of it is made: for very long lists the CSV begins at once.
    """
    name, sheet = await container.results.file(batch_id, wanted, language)
    return Download(f"{name}.xlsx", WORKBOOK, container.result_files.workbooks.blocks([sheet]))


@router.get("/results.csv", summary="The results of a batch as CSV", response_class=Response, responses=_CSV_REPLIES)
async def download_results_csv(
    batch_id: str,
    wanted: WantedDep,
    container: ContainerDep,
    language: LanguageDep,
    separator: Annotated[
        Separator | None,
        Query(
            description='"," or ";", where the comma is the decimal sign. By default what Excel wants: ";" in Spanish.'
        ),
    ] = None,
) -> Response:
    """The same as the workbook, sent while it is read, as Excel opens it: UTF-8 with a byte order mark.

    A text that Excel would run as a formula has an apostrophe before it; telephones and numbers have none. A connection
    that ends without the last chunk is half a file.
    """
    name, sheet = await container.results.file(batch_id, wanted, language)
    file = container.result_files.csv.separated_by(separator or _SEPARATORS[language])
    return Download(f"{name}.csv", CSV, file.blocks([sheet]))


@router.head("/results.xlsx", include_in_schema=False)
async def head_results(batch_id: str, wanted: WantedDep, container: ContainerDep, language: LanguageDep) -> Response:
    name, _ = await container.results.file(batch_id, wanted, language)
    return Response(media_type=WORKBOOK, headers=download_headers(f"{name}.xlsx"))


@router.head("/results.csv", include_in_schema=False)
async def head_results_csv(
    batch_id: str, wanted: WantedDep, container: ContainerDep, language: LanguageDep
) -> Response:
    name, _ = await container.results.file(batch_id, wanted, language)
    return Response(media_type=CSV, headers=download_headers(f"{name}.csv"))

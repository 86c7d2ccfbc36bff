"""The files about contact lists that are made for operators: the rows that were rejected, and the template."""

from app.domain.contact_list import RejectedRow
from app.domain.messages import Language, render

TEMPLATE_SHEETS = ("Contactos", "Ejemplo")
"""The first is to be filled in and is the one that is read; the examples stand apart, so that nobody calls them."""

TEMPLATE_HEADER = ("nombre", "telefono_1", "telefono_2", "email", "rut", "zona_horaria", "empresa", "monto_deuda")
TEMPLATE_EXAMPLES = (
    ("Juan Pérez", "+56912345678", "+56223456789", "juan@email.com", "12345678-5", "", "Comercial Sur SpA", "50000"),
    (
        "María Soto",
        "9 1234 5679",
        "",
        "maria@email.com",
        "9876543-3",
        "America/Santiago",
        "Comercial Sur SpA",
        "120000",
    ),
)


def errors_header(headers: list[str], language: Language) -> list[str]:
    """The list's own header and, after it so that its columns keep their places, the row's number and the reason."""
    return [*headers, render("errors_file_row", language), render("errors_file_reason", language)]


def errors_row(row: RejectedRow, width: int, language: Language) -> list[str]:
    """The row as it was, under `errors_header` for `width` headers."""
    reasons = " ".join(issue.message.render(language) for issue in row.issues)
    return [*(row.cells + [""] * width)[:width], str(row.row_number), reasons]

"""Texts: reading a contact list. What is wrong, and what to do about it."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # The file
    "file_empty": {
        "es": "El archivo está vacío. Suba la planilla con los contactos.",
        "en": "The file is empty. Upload the spreadsheet with the contacts.",
    },
    "file_too_large": {
        "es": "El archivo supera los {limit_mb} MB. Divida la lista en varios archivos.",
        "en": "The file is larger than {limit_mb} MB. Split the list into several files.",
    },
    "file_unpacks_too_large": {
        "es": "El contenido del archivo, descomprimido, supera los {limit_mb} MB. Divida la lista en varios archivos.",
        "en": "The content of the file, unpacked, is larger than {limit_mb} MB. Split the list into several files.",
    },
    "file_password_protected": {
        "es": "El archivo está protegido con contraseña. Quítele la contraseña en Excel, guárdelo y súbalo de nuevo.",
        "en": "The file is protected by a password. Remove the password in Excel, save it and upload it again.",
    },
    "file_is_pdf": {
        "es": "El archivo es un PDF. Suba la planilla original en formato .xlsx o .csv.",
        "en": "The file is a PDF. Upload the original spreadsheet as .xlsx or .csv.",
    },
    "file_is_html": {
        "es": "El archivo es una página web (HTML o XML) con nombre de Excel. Ábralo en Excel y guárdelo como .xlsx.",
        "en": "The file is a web page (HTML or XML) named like a spreadsheet. Open it in Excel and save it as .xlsx.",
    },
    "file_is_xlsb": {
        "es": "El formato .xlsb (libro binario) no se admite. Ábralo en Excel y guárdelo como .xlsx.",
        "en": "The .xlsb format (binary workbook) is not supported. Open it in Excel and save it as .xlsx.",
    },
    "file_format_unknown": {
        "es": "El archivo no es una planilla. Se admiten .xlsx, .xls, .ods y .csv.",
        "en": "The file is not a spreadsheet. Supported formats are .xlsx, .xls, .ods and .csv.",
    },
    "file_unreadable": {
        "es": "El archivo está dañado o incompleto. Ábralo en Excel, guárdelo de nuevo como .xlsx y súbalo.",
        "en": "The file is damaged or incomplete. Open it in Excel, save it again as .xlsx and upload it.",
    },
    "file_too_complex_or_corrupt": {
        "es": (
            "El archivo no se pudo leer: está dañado o tiene datos muy lejos de la tabla. "
            "Copie solo la tabla de contactos a un libro nuevo, guárdelo como .xlsx y súbalo."
        ),
        "en": (
            "The file could not be read: it is damaged or holds data far away from the table. "
            "Copy only the table of contacts into a new workbook, save it as .xlsx and upload it."
        ),
    },
    "csv_malformed": {
        "es": "El archivo de texto tiene comillas sin cerrar en la fila {row}. Corríjala, o guárdelo como .xlsx.",
        "en": "The text file has quotes that do not close in row {row}. Correct it, or save it as .xlsx.",
    },
    "no_visible_sheet": {
        "es": "El libro no tiene ninguna hoja visible. Muestre la hoja con los contactos y guárdelo.",
        "en": "The workbook has no visible sheet. Unhide the sheet with the contacts and save it.",
    },
    "sheet_empty": {
        "es": "Las hojas visibles del libro están vacías. Ponga los contactos en la primera hoja.",
        "en": "The visible sheets of the workbook are empty. Put the contacts in the first sheet.",
    },
    "sheet_error_value": {
        "es": (
            "La hoja «{sheet}» tiene celdas con el error {value}, que no se puede leer. "
            "Corrija la fórmula, o copie la tabla y péguela como valores, y súbala de nuevo."
        ),
        "en": (
            "The sheet “{sheet}” has cells with the error {value}, which cannot be read. "
            "Correct the formula, or copy the table and paste it as values, and upload it again."
        ),
    },
    "no_rows": {
        "es": "La lista tiene encabezados pero ninguna fila debajo. Agregue al menos un contacto.",
        "en": "The list has headers but no row below them. Add at least one contact.",
    },
    "no_header": {
        "es": (
            "La lista empieza directamente con datos (fila {row}). "
            "Agregue arriba una fila con los nombres de las columnas, por ejemplo: Nombre, Teléfono."
        ),
        "en": (
            "The list starts with data right away (row {row}). "
            "Add a row above with the names of the columns, for example: Name, Phone."
        ),
    },
    "no_phone_column": {
        "es": (
            "Ninguna columna parece contener teléfonos. Columnas encontradas: {headers}. "
            "Llame «Teléfono» a la columna con los números."
        ),
        "en": (
            "No column seems to hold phone numbers. Columns found: {headers}. Name the column with the numbers «Phone»."
        ),
    },
    "phone_column_empty": {
        "es": (
            "No hay ningún valor en {headers}. Si la columna se calcula con fórmulas, "
            "abra el archivo en Excel, guárdelo y súbalo de nuevo."
        ),
        "en": (
            "There is no value in {headers}. If the column is calculated by formulas, "
            "open the file in Excel, save it and upload it again."
        ),
    },
    "only_hidden_rows": {
        "es": (
            "Las {rows} filas de la lista están ocultas o filtradas. Muéstrelas y suba el archivo de nuevo, "
            "o envíe include_hidden_rows."
        ),
        "en": (
            "All {rows} rows of the list are hidden or filtered out. Show them and upload the file again, "
            "or send include_hidden_rows."
        ),
    },
    # Limits
    "too_many_rows": {
        "es": "La lista tiene más de {limit} filas. Divídala en varios archivos.",
        "en": "The list has more than {limit} rows. Split it into several files.",
    },
    "too_many_columns": {
        "es": "Hay datos en {cell}: se admiten hasta {limit} columnas. Borre lo que sobra a la derecha de la tabla.",
        "en": "There is data in {cell}: at most {limit} columns are allowed. Delete what lies right of the table.",
    },
    "header_too_long": {
        "es": "El encabezado de la columna {column} supera los {limit} caracteres. Acórtelo.",
        "en": "The header of column {column} is longer than {limit} characters. Shorten it.",
    },
    "cell_too_long": {
        "es": "El valor de «{header}» supera los {limit} caracteres.",
        "en": "The value of «{header}» is longer than {limit} characters.",
    },
    "too_many_phones": {
        "es": "El contacto tiene más de {limit} teléfonos.",
        "en": "The contact has more than {limit} phone numbers.",
    },
    # Columns
    "column_guessed_phone": {
        "es": "Se tomó la columna «{header}» como teléfono. Revise que sea correcto.",
        "en": "Column «{header}» was taken for the phone number. Check that this is right.",
    },
    "errors_file_row": {
        "es": "Fila original",
        "en": "Original row",
    },
    "errors_file_reason": {
        "es": "Motivo del rechazo",
        "en": "Reason of rejection",
    },
    "errors_file_more": {
        "es": "Y {more} filas más, que no se guardaron porque son demasiadas.",
        "en": "And {more} more rows, which were not kept because there are too many.",
    },
    "column_phone_by_content": {
        "es": (
            "Ningún encabezado dice «teléfono». Se tomó la columna «{header}» por lo que contiene: confírmelo antes de "
            "llamar, o indique otra en column_mapping."
        ),
        "en": (
            "No header says «phone». The column «{header}» was taken for what it holds: confirm it before calling, or "
            "name another in column_mapping."
        ),
    },
    "column_mapping_not_an_object": {
        "es": 'Debe ser un objeto JSON que diga qué contiene cada columna, como {{"Fono": "phone_1"}}.',
        "en": 'It must be a JSON object that says what each column holds, like {{"Fono": "phone_1"}}.',
    },
    "column_target_unknown": {
        "es": "A la columna «{column}» se le dio un significado que no existe. Use uno de: {targets}.",
        "en": "The column «{column}» was given a meaning that does not exist. Use one of: {targets}.",
    },
    "column_target_taken": {
        "es": "«{target}» ya se asignó a otra columna antes que a «{column}».",
        "en": "«{target}» was given to another column before «{column}».",
    },
    "column_unknown": {
        "es": "La planilla no tiene una columna «{column}». Tiene: {known}.",
        "en": "The spreadsheet has no column «{column}». It has: {known}.",
    },
    "column_named_twice": {
        "es": "La columna «{column}» se indicó dos veces, por su encabezado y por su nombre en la vista previa.",
        "en": "The column «{column}» was named twice, by its header and by its name in the preview.",
    },
    "column_guessed_name": {
        "es": "Se tomó la columna «{header}» como nombre. Revise que sea correcto.",
        "en": "Column «{header}» was taken for the name. Check that this is right.",
    },
    "hidden_rows": {
        "es": (
            "Filas ocultas o filtradas en la hoja: {rows} (la primera es la {first_row}). No se llamarán. "
            "Para incluirlas, muéstrelas y suba el archivo de nuevo, o envíe include_hidden_rows."
        ),
        "en": (
            "Rows that are hidden or filtered out in the sheet: {rows} (the first is {first_row}). They will not be "
            "called. To include them, show them and upload the file again, or send include_hidden_rows."
        ),
    },
    "hidden_columns": {
        "es": (
            "Columnas ocultas en la hoja que se usan como las demás: {columns}. "
            "Para no usar una, bórrela, o indíquela en column_mapping como «ignore»."
        ),
        "en": (
            "Columns that are hidden in the sheet and used like the others: {columns}. "
            "Not to use one, delete it, or name it in column_mapping as «ignore»."
        ),
    },
    "column_empty": {
        "es": (
            "La columna «{header}» no tiene ningún valor. Si se calcula con fórmulas, "
            "abra el archivo en Excel, guárdelo y súbalo de nuevo."
        ),
        "en": (
            "Column «{header}» has no value at all. If it is calculated by formulas, "
            "open the file in Excel, save it and upload it again."
        ),
    },
    # Rows
    "phone_missing": {
        "es": "El contacto no tiene ningún teléfono.",
        "en": "The contact has no phone number.",
    },
    "phone_not_a_number": {
        "es": "«{value}» no es un número de teléfono.",
        "en": "«{value}» is not a phone number.",
    },
    "phone_scientific": {
        "es": (
            "«{value}» es un número en notación científica y perdió dígitos. "
            "Dé formato de texto a la columna y escriba el teléfono de nuevo."
        ),
        "en": (
            "«{value}» is a number in scientific notation and has lost digits. "
            "Format the column as text and write the phone number again."
        ),
    },
    "phone_too_short": {
        "es": "«{value}» tiene muy pocos dígitos para ser un teléfono.",
        "en": "«{value}» has too few digits for a phone number.",
    },
    "phone_too_long": {
        "es": "«{value}» tiene demasiados dígitos para ser un teléfono.",
        "en": "«{value}» has too many digits for a phone number.",
    },
    "phone_impossible_length": {
        "es": "«{value}» no tiene el largo de un teléfono de su país.",
        "en": "«{value}» does not have the length of a phone number of its country.",
    },
    "phone_unknown_country": {
        "es": "«{value}» empieza con un código de país que no existe.",
        "en": "«{value}» starts with a country code that does not exist.",
    },
    "phone_needs_country": {
        "es": "«{value}» no tiene código de país. Escríbalo con + y el código, por ejemplo +56.",
        "en": "«{value}» has no country code. Write it with + and the code, for example +56.",
    },
    "phone_needs_area_code": {
        "es": "A «{value}» le falta el código de área.",
        "en": "«{value}» lacks its area code.",
    },
    "phone_unassigned_range": {
        "es": "«{value}» pertenece a una serie que no figura como asignada. Se llamará de todos modos.",
        "en": "«{value}» belongs to a range that is not known to be assigned. It will be called anyway.",
    },
    "phone_repaired": {
        "es": "A «{value}» le faltaba un dígito inicial y se completó: {e164}.",
        "en": "«{value}» lacked its first digit, which was added: {e164}.",
    },
    "phone_service_line": {
        "es": "«{value}» es una línea de servicio (600, 800 o similar), no el teléfono de una persona.",
        "en": "«{value}» is a service line (600, 800 or the like), not a person's phone.",
    },
    "phone_mobile_unclear": {
        "es": "«{value}» se tomó como teléfono fijo. Si es un celular, escríbalo con +54 9.",
        "en": "«{value}» was taken for a fixed line. If it is a mobile, write it with +54 9.",
    },
    "name_missing": {
        "es": "El contacto no tiene nombre.",
        "en": "The contact has no name.",
    },
    "email_invalid": {
        "es": "«{value}» no es un correo electrónico. Se conserva solo como texto.",
        "en": "«{value}» is not an e-mail address. It is kept as text only.",
    },
    "rut_check_digit": {
        "es": "El dígito verificador de «{value}» no corresponde a ese RUT. Se llamará de todos modos.",
        "en": "The check digit of «{value}» is not that RUT's. It will be called anyway.",
    },
    "country_unknown": {
        "es": "No se reconoce el país «{value}». Se usó el de la cuenta.",
        "en": "The country «{value}» is not known. The account's was used.",
    },
}

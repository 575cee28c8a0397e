"""Models and tables agree, and the way to several databases stays open."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection

pytestmark = pytest.mark.django_db


def unmanaged() -> list[str]:
    return [model._meta.label for model in apps.get_models() if not model._meta.managed]


def rows(query: str, *parameters: object) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


@pytest.mark.parametrize("label", unmanaged())
def test_a_model_names_its_tables_columns(label: str) -> None:
    model = apps.get_model(label)
    found = rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        model._meta.db_table,
    )
    assert {field.column for field in model._meta.concrete_fields} == {name for (name,) in found}


def test_every_unique_key_of_a_partitioned_table_holds_the_project() -> None:
    found = rows(
        """
        SELECT c.relname || '.' || i.relname, array_agg(a.attname::text)
        FROM pg_index x
        JOIN pg_class c ON c.oid = x.indrelid AND c.relkind = 'p'
        JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey::int[])
        WHERE x.indisunique GROUP BY 1
        """
    )
    assert found, "no partitioned table has a unique key"
    assert [name for name, columns in found if "project_id" not in columns] == []

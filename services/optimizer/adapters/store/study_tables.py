"""Assay's own tables beside Optuna's: studies, events, priors, trials as columns, the ledger."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

STUDIES = sa.Table(
    "assay_studies",
    METADATA,
    sa.Column("study_id", sa.String(63), primary_key=True),
    sa.Column("optuna_study_id", sa.Integer, nullable=False, unique=True),
    # NULL where the caller gave none: a request makes one study at most.
    sa.Column("request_id", sa.String(64), nullable=True, unique=True),
    sa.Column("request_digest", sa.String(128), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("spec", sa.LargeBinary, nullable=False),
    sa.Column("warnings_json", sa.Text, nullable=False),
    sa.Column("code_version", sa.String(128), nullable=False),
    sa.Column("create_time_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("start_time_ms", sa.BigInteger, nullable=True),
    sa.Column("end_time_ms", sa.BigInteger, nullable=True),
    sa.Column("error", sa.LargeBinary, nullable=False),
    sa.Column("trials_digest", sa.String(128), nullable=False),
    sa.Column("outcome", sa.LargeBinary, nullable=False),
    sa.Column("shape_json", sa.Text, nullable=False),
    # Known with the first generation only.
    sa.Column("parameter_order_json", sa.Text, nullable=True),
    sa.Column("trial_count", sa.BigInteger, nullable=False),
    sa.Column("event_count", sa.BigInteger, nullable=False),
    # What follows came later: a database without it is given it, with these defaults.
    # NULL in studies older than limits: those of the spec.
    sa.Column("limits_json", sa.Text, nullable=True),
    sa.Column("stop_reason", sa.String(32), nullable=False, server_default=""),
    sa.Column("elapsed_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("owner", sa.String(255), nullable=False, server_default=""),
    sa.Column("lease_epoch", sa.BigInteger, nullable=False, server_default="0"),
    # By the database's own clock; NULL while nobody has a lease.
    sa.Column("lease_expire_ms", sa.BigInteger, nullable=True),
    sa.Column("ledger_dataset", sa.String(255), nullable=False, server_default=""),
    sa.Column("ledger_strategy", sa.String(255), nullable=False, server_default=""),
    sa.Column("ledger_id", sa.String(64), nullable=True),
    # Names of the metrics in the order in which trials first had them: the rows of `COLUMNS`.
    sa.Column("metric_order_json", sa.Text, nullable=False, server_default="[]"),
    # NULL where no tokens were asked for, and in older studies.
    sa.Column("caller", sa.String(255), nullable=True),
)

EVENTS = sa.Table(
    "assay_study_events",
    METADATA,
    sa.Column("study_id", sa.String(63), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event", sa.LargeBinary, nullable=False),
)

PRIORS = sa.Table(
    "assay_study_priors",
    METADATA,
    sa.Column("study_id", sa.String(63), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("trial_json", sa.Text, nullable=False),
)

COLUMNS = sa.Table(
    "assay_trial_columns",
    METADATA,
    sa.Column("study_id", sa.String(63), primary_key=True),
    sa.Column("first_number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("trial_count", sa.Integer, nullable=False),
    # See trial_columns.
    sa.Column("base", sa.LargeBinary, nullable=False),
    sa.Column("metrics", sa.LargeBinary, nullable=False),
)
"""Trials once more, as columns, a row per group of them: tables are read from here, a hundred times
as fast as from Optuna's rows. What is missing here (older studies) is read from those."""

LEDGER = sa.Table(
    "assay_ledger",
    METADATA,
    # One row per study that ever was, so that writers never wait for each other. No reference to
    # the study, which may be gone and its id be another's.
    sa.Column("ledger_id", sa.String(64), primary_key=True),
    sa.Column("dataset", sa.String(255), nullable=False),
    sa.Column("strategy", sa.String(255), nullable=False),
    sa.Column("trial_count", sa.BigInteger, nullable=False),
    sa.Column("evaluated_trial_count", sa.BigInteger, nullable=False),
    sa.Column("sharpe_trial_count", sa.BigInteger, nullable=False),
    sa.Column("sharpe_sum", sa.Double, nullable=False),
    sa.Column("sharpe_square_sum", sa.Double, nullable=False),
    sa.Index("assay_ledger_key", "dataset", "strategy"),
)

# Numbers do not become smaller by PostgreSQL's compression, and only plain ones are read in part.
sa.event.listen(
    COLUMNS,
    "after_create",
    sa.DDL(  # type: ignore[no-untyped-call]
        "ALTER TABLE assay_trial_columns ALTER base SET STORAGE EXTERNAL,"
        " ALTER metrics SET STORAGE EXTERNAL"
    ).execute_if(dialect="postgresql"),
)

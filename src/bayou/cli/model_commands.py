"""The commands `bayou fit`, `bayou sample` and `bayou describe`, for the model of a Python file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayou.cli.command_errors import Outcome, as_options, reported
from bayou.cli.command_options import (
    Columns,
    Debug,
    DropNulls,
    Format,
    Function,
    Json,
    ModelPath,
    Options,
    Paths,
    Query,
    RowWeights,
    Seed,
)

if TYPE_CHECKING:
    import pandas as pd

    from bayou.cli.recipe import Recipe
    from bayou.fitting.result.fit_result import Fit

FitOut = Annotated[
    str | None,
    typer.Option(
        help="A new path for the result. If it ends in .zarr, draws are written; else the fit, "
        "for bayou.load."
    ),
]


def fit(
    model: ModelPath,
    data: Paths,
    out: FitOut = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Fit in minibatches of this many rows.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help='"advi", "fullrank_advi", "lowrank_advi" or "dadvi". By default, bayou chooses.'
        ),
    ] = "auto",
    weights: RowWeights = None,
    draws: Annotated[
        int, typer.Option(min=2, help="Number of draws for the summary and the result.")
    ] = 1000,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A file to which the state of a stochastic fit is saved at times."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint.")] = False,
    random_seed: Seed = None,
    function: Function = "model",
    option: Options = None,
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fit the model of a Python file by variational inference, and print its posterior.

    The exit code is 3 if the fit did not converge, or if its check finds it wrong.
    """
    with reported(debug) as outcome:
        import bayou as by
        from bayou.cli.result_file import check_new, fitted_names, write_fit_file
        from bayou.feeding.memory import check_draws

        check_new(out)
        recipe = _recipe(model, data, function, option, file_format, columns, query, drop_nulls)
        built = recipe.build()
        names, num_values = fitted_names(built)
        check_draws(draws, {"parameters": num_values})
        with recipe.recording():
            fitted = by.fit(
                model=built,
                batch_size=batch_size,
                method=method,
                weights=weights,
                random_seed=random_seed,
                checkpoint=checkpoint,
                resume=resume,
            )
            outcome.is_interrupted = fitted.approximation.interrupted
            if out is not None:
                write_fit_file(fitted, out, names, draws)
                outcome.written = out
        _report_fit(fitted, names, draws, out, outcome, as_json=as_json)


def sample(
    model: ModelPath,
    data: Paths,
    out: Annotated[
        str | None, typer.Option(help="A new folder for the draws. Its name ends in .zarr.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Draws of each chain.")] = 1000,
    tune: Annotated[
        int | None, typer.Option(min=0, help="Tuning steps of each chain, by default as needed.")
    ] = None,
    chains: Annotated[int, typer.Option(min=1, help="The number of chains.")] = 4,
    target_accept: Annotated[
        float, typer.Option(help="The acceptance probability that tuning aims at.")
    ] = 0.8,
    weights: RowWeights = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the draws in --out.")
    ] = False,
    random_seed: Seed = None,
    function: Function = "model",
    option: Options = None,
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Sample the posterior of the model of a Python file with NUTS, and print it.

    The exit code is 3 if the chains diverged, do not agree or are too short.
    """
    with reported(debug) as outcome:
        import bayou as by
        from bayou.cli.result_file import check_new, fitted_names

        if not resume:
            check_new(out, (".zarr",))
        recipe = _recipe(model, data, function, option, file_format, columns, query, drop_nulls)
        built = recipe.build()
        names, _ = fitted_names(built)
        with recipe.recording():
            tree = by.sample(
                draws,
                tune=tune,
                chains=chains,
                model=built,
                target_accept=target_accept,
                var_names=names,
                weights=weights,
                random_seed=random_seed,
                out=out,
                resume=resume,
            )
        outcome.written = out
        outcome.is_doubtful = bool(outcome.doubts)
        posterior = tree["posterior"].dataset
        sizes = posterior.sizes
        outcome.is_interrupted = sizes["chain"] < chains or sizes["draw"] < draws
        # Fewer than four draws have no R-hat.
        kind = "all" if posterior.sizes["draw"] > 3 else "stats"
        table, hidden = summary(posterior, names, kind)
        _report(
            {
                "draws": posterior.sizes["draw"],
                "chains": posterior.sizes["chain"],
                "divergences": int(tree["sample_stats"]["diverging"].sum()),
                "doubts": outcome.doubts,
                "out": out,
            },
            table,
            hidden,
            [] if out is None else [f"draws: {out}"],
            as_json=as_json,
        )


def describe(
    model: ModelPath,
    data: Paths,
    function: Function = "model",
    option: Options = None,
    file_format: Format = None,
    columns: Columns = None,
    query: Query = None,
    drop_nulls: DropNulls = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the data containers and the variables of the model of a Python file."""
    with reported(debug):
        from rich.console import Console

        import bayou as by
        from bayou.cli.printed import print_json

        recipe = _recipe(model, data, function, option, file_format, columns, query, drop_nulls)
        description = by.describe(recipe.build())
        if as_json:
            # Labels of coords may be as many as rows.
            containers = [
                {name: value for name, value in vars(container).items() if name != "coords"}
                for container in description.containers
            ]
            print_json({"containers": containers, "variables": description.variables})
        else:
            console = Console()
            with console.capture() as captured:
                console.print(description)
            typer.echo(as_options(captured.get()), nl=False)
            console.print(str(description.diagram()), markup=False, highlight=False)


def summary(posterior: Any, names: list[str], kind: str) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of the elements of variables, and the variables that are too large for it."""
    from arviz import summary as arviz_summary

    from bayou.cli.result_file import MOST_ELEMENTS

    sizes = {name: posterior[name][0, 0].size for name in names}
    shown = [name for name, size in sizes.items() if 0 < size <= MOST_ELEMENTS]
    hidden = [f"{name} ({size:,} elements)" for name, size in sizes.items() if name not in shown]
    if not shown:
        import pandas as pd

        return pd.DataFrame(), hidden
    return arviz_summary(posterior, var_names=shown, kind=kind), hidden


def _recipe(
    model: str,
    data: str,
    function: str,
    option: list[str] | None,
    file_format: str | None,
    columns: list[str] | None,
    query: str | None,
    drop_nulls: bool,
) -> Recipe:
    from bayou.cli.option_values import split_options
    from bayou.cli.recipe import Recipe, RowFiles

    rows = RowFiles.of(data, file_format, columns, query, drop_nulls)
    return Recipe(model, rows, function, split_options(option or []))


def _report_fit(
    fitted: Fit, names: list[str], draws: int, out: str | None, outcome: Outcome, *, as_json: bool
) -> None:
    from bayou.cli.result_file import drawn_posterior

    verdict = fitted.verdict
    outcome.is_doubtful = fitted.converged is False or verdict.word == "wrong"
    latent = () if fitted.program.latent is None else fitted.program.latent.names
    table, hidden = summary(
        drawn_posterior(fitted, [name for name in names if name not in latent], draws),
        [name for name in names if name not in latent],
        kind="stats",
    )
    hidden += [f"{name} (a value for each row)" for name in latent]
    lines = [
        f"verdict: {verdict.word}: {verdict.reason}",
        f"converged: {fitted.converged}: {fitted.reason}",
        *([] if fitted.compression is None else [f"rows: {fitted.compression}"]),
        *([] if fitted.passes is None else [f"passes over the rows: {fitted.passes:.1f}"]),
        *([] if out is None else [f"result: {out}"]),
    ]
    report: dict[str, object] = {
        "verdict": {"word": verdict.word, "reason": verdict.reason},
        "converged": fitted.converged,
        "reason": fitted.reason,
        "passes": fitted.passes,
        "correction": fitted.correction,
        "compression": fitted.compression,
        "out": out,
    }
    _report(report, table, hidden, lines, as_json=as_json)


def _report(
    report: dict[str, object],
    table: pd.DataFrame,
    hidden: list[str],
    lines: list[str],
    *,
    as_json: bool,
) -> None:
    from bayou.cli.printed import print_json, print_lines, print_summary, records

    if as_json:
        print_json(report | {"posterior": records(table), "not_summarized": hidden})
        return
    print_summary(table)
    print_lines(lines + [f"not summarized: {name}" for name in hidden])

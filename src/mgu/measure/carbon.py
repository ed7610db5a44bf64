"""How much carbon a country's electricity stands for."""

import logging

from mgu.errors import InputError


def carbon_intensity(country: str | None) -> float | None:
    """Carbon intensity of a country's electricity, in g CO2-equivalent per kWh; None where no country is given.

    ``country`` is an ISO 3166 code of three letters. The figure is the mean of the latest year in CodeCarbon's table,
    which takes it from Our World in Data (https://ourworldindata.org/energy).

    Raises InputError for a code that the table does not have, where CodeCarbon itself would take 475 g for any country,
    and where the table is not installed.
    """
    if country is None:
        return None
    silence_codecarbon()
    try:
        from codecarbon.input import DataSource
    except ImportError:
        raise InputError(
            f"country {country!r}: the table of carbon intensities is not installed; pip install mgu[energy], or give "
            "no country, and no carbon is worked out"
        ) from None
    mixes = DataSource().get_global_energy_mix_data()
    if country not in mixes:
        raise InputError(
            f"country {country!r}: not among the {len(mixes)} whose carbon intensity is known; give a code of three "
            "capital letters (ISO 3166) such as CHE, DEU, FRA, IND or USA, or no country"
        )
    return float(mixes[country]["carbon_intensity"])


def silence_codecarbon() -> None:
    """Have CodeCarbon log nothing, from its import on; a level would be set anew by the import."""
    logging.getLogger("codecarbon").disabled = True

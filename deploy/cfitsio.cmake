# How cfitsio is built (.cargo/config.toml names this file): what it brings along, it keeps to itself. Its zlib is of 2010 and
# would serve the broker's client too, where the programs have a newer one; and bzip2-sys, too, defines bz_internal_error.
add_compile_definitions(Z_PREFIX bz_internal_error=cfitsio_bz_internal_error)

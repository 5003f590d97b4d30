# How cfitsio is built (.cargo/config.toml names this file): what it brings along, it keeps to itself. Its zlib is of 2010 and
# would serve the broker's client too, where the programs have a newer one; z_errmsg is what its prefix leaves out, and a
# machine without a zlib of its own links another; and bzip2-sys, too, defines bz_internal_error.
add_compile_definitions(Z_PREFIX z_errmsg=cfitsio_z_errmsg bz_internal_error=cfitsio_bz_internal_error)

//! Gives every binary and test the run-time path of the libtorch it is linked with, so that nothing must be
//! typed to run them, and keeps CUDA linked where the chosen libtorch has it (a linker drops a library whose
//! symbols nobody names).
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo:warning=torch-sys did not say where libtorch is: run deploy/setup.sh");
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    if lib.join("libtorch_cuda.so").exists() {
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch_cuda,-ltorch_cpu,-lc10,--as-needed");
    }
}

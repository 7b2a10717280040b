#!/usr/bin/env bash
# Runs cargo for wasm32-wasip2, with whatever it takes to have that target.
#
#   scripts/wasm-toolchain.sh                      set up if needed; print the cargo invocation
#   scripts/wasm-toolchain.sh build --release …    set up if needed; run cargo … --target wasm32-wasip2
#
# SOMA_WASM_TOOLCHAIN says where the target may come from:
#   auto     (default) the compiler in use, where it has the target; else `rustup target add`, once;
#            else what `debian` does
#   rustup   the compiler in use, or `rustup target add`; nothing else
#   debian   a toolchain of its own, `debian-wasm`, made from Debian packages under ~/.cache and
#            linked into rustup: for machines that reach a Debian mirror but not rustup's downloads.
#            Nothing is installed system-wide, and root is not needed.
set -euo pipefail

target=wasm32-wasip2
toolchain=debian-wasm
recipe=1 # raise it when the steps below change: toolchains of an older recipe are made anew
root=$HOME/.cache/wasm-toolchain
libc_suites="forky sid" # the first whose wasi-libc passes the smoke test is taken

say() { printf 'wasm-toolchain: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Does this rustc (or `+toolchain`) have std for the target?
has_target() {
    local dir
    dir=$(rustc "$@" --print target-libdir --target $target 2>/dev/null) &&
        compgen -G "$dir/libstd-*.rlib" >/dev/null
}

debian_is_ready() {
    [ "$(cat "$root/ready" 2>/dev/null)" = "$recipe" ] || return 1
    # Another home that shares this rustup may have taken the name for its own.
    [ "$(rustc +$toolchain --print sysroot 2>/dev/null)" = "$root/tc" ] || rustup toolchain link $toolchain "$root/tc"
    has_target +$toolchain
}

ask_rustup() {
    command -v rustup >/dev/null || { say "there is no rustup here to add $target with"; return 1; }
    say "adding the $target target with rustup"
    timeout 300 rustup target add $target >&2 && has_target
}

make_debian() {
    local tool
    for tool in apt-get apt-cache dpkg rustup flock ldd; do
        command -v $tool >/dev/null || die "no '$tool' here; run 'rustup target add $target' where there is a network"
    done
    mkdir -p "$root"
    exec 9>"$root/lock"
    flock 9
    if ! debian_is_ready; then # another run may have made it while this one waited
        say "making the '$toolchain' toolchain under $root (a few minutes, once)"
        work=$root/work prefix=$root/tc
        rm -rf "$work" "$prefix" "$root/ready"
        fetch_compiler
        lay_out
        say "compiling std for $target"
        compile_std
        add_libc
        rm -rf "$work" "$prefix"/src/rustc-*/{compiler,src,debian}
        echo $recipe >"$root/ready"
        say "ready"
    fi
    exec 9>&-
}

# Sets `apt_options` to keep apt's lists and downloads under $1: nothing in /var is touched.
private_apt() {
    mkdir -p "$1"/{lists/partial,cache/archives/partial}
    apt_options=(-o Dir::State::Lists="$1/lists" -o Dir::Cache="$1/cache" -o APT::Sandbox::User=
        -o Debug::NoLocking=1 -o Acquire::Languages=none -qq "${@:2}")
}

# The first dependency of package $1 whose name begins with $2.
dependency() {
    apt-cache "${apt_options[@]}" depends "$1" |
        sed -n "s/^ *|\{0,1\}Depends: <\{0,1\}\($2[0-9.]*\)>\{0,1\}$/\1/p" | head -1
}

# rustc-web is the Debian rustc that knows WebAssembly; its std, source, LLVM and LLD go with it.
fetch_compiler() {
    local std llvm deb
    private_apt "$work/apt"
    mkdir -p "$work"/{debs,x}
    apt-get "${apt_options[@]}" update || die "apt-get update failed"
    std=$(dependency libstd-rust-web-dev libstd-rust-web-) || true
    [ -n "$std" ] || die "apt offers no rustc-web here; run 'rustup target add $target' where there is a network"
    llvm=$(dependency "$std" libllvm) || true
    [ -n "$llvm" ] || die "$std names no libllvm"
    llvm_version=${llvm#libllvm}
    (cd "$work/debs" && apt-get "${apt_options[@]}" download rustc-web libstd-rust-web-dev "$std" \
        rust-web-src "$llvm" "lld-$llvm_version") || die "a package could not be downloaded"
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/x"; done
    mirror=$(apt-get "${apt_options[@]}" indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1)
}

# Moves what the packages hold to where rustup and rustc look for it.
lay_out() {
    local host bin missing library
    host=$("$(rustup which rustc)" -vV | sed -n 's/^host: //p')
    mv "$work/x/usr" "$prefix"
    mv "$prefix"/lib/*-linux-gnu/lib*.so* "$prefix/lib/" # rustup puts lib/ on the library path
    mkdir -p "$prefix/lib/llvm-$llvm_version/lib"
    for library in "$prefix"/lib/libLLVM*; do
        ln -s "../../${library##*/}" "$prefix/lib/llvm-$llvm_version/lib/"
    done
    bin=$prefix/lib/rustlib/$host/bin
    mkdir -p "$bin/gcc-ld"
    ln -sf "../../../llvm-$llvm_version/bin/lld" "$bin/rust-lld"
    ln -sf "../../../../llvm-$llvm_version/bin/wasm-ld" "$bin/gcc-ld/wasm-ld"
    [ -x "$bin/wasm-component-ld" ] ||
        cp "$(rustc --print sysroot)/lib/rustlib/$host/bin/wasm-component-ld" "$bin/" ||
        die "no wasm-component-ld, neither in Debian's packages nor in the compiler in use"
    ln -sf "$(rustup which cargo)" "$prefix/bin/cargo"
    missing=$(LD_LIBRARY_PATH=$prefix/lib ldd "$prefix/bin/rustc" "$prefix"/lib/librustc_driver-*.so \
        "$prefix"/lib/libLLVM*.so* "$prefix/lib/llvm-$llvm_version/bin/lld" |
        sed -n 's/^\s*\(.*\) => not found/\1/p' | sort -u)
    [ -z "$missing" ] || die "missing libraries: $missing (as root: apt-get install libedit2 libz3-4 libxml2)"
    rustup toolchain link $toolchain "$prefix"
}

# std is compiled once, with bitcode so that LTO works; every later build is plain stable cargo.
compile_std() {
    local source library
    mkdir -p "$work/std/src"
    : >"$work/std/src/lib.rs"
    printf '%s\n' '[package]' 'name = "mkstd"' 'edition = "2021"' '[workspace]' \
        '[profile.release]' 'opt-level = "s"' 'codegen-units = 1' >"$work/std/Cargo.toml"
    source=$(readlink -f "$prefix/lib/rustlib/src/rust")
    (cd "$work/std" && env -u CARGO_ENCODED_RUSTFLAGS RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/std/target" \
        RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$prefix/lib/rustlib/src/rust=/rustc --remap-path-prefix=$source=/rustc" \
        cargo +$toolchain build -q -Zbuild-std=std,panic_abort,test --target $target --release) ||
        die "std did not build"
    library=$prefix/lib/rustlib/$target/lib
    mkdir -p "$library/self-contained"
    cp "$work/std/target/$target/release/deps/"*.rlib "$library/"
    rm -f "$library"/libmkstd-*
}

# Clippy of the same compiler, the first time it is asked for.
add_clippy() {
    [ ! -x "$root/tc/bin/cargo-clippy" ] || return 0
    local work=$root/clippy
    say "adding clippy to '$toolchain'"
    private_apt "$work/apt"
    mkdir -p "$work/x"
    (cd "$work" && apt-get "${apt_options[@]}" update && apt-get "${apt_options[@]}" download rust-web-clippy &&
        dpkg -x rust-web-clippy_*.deb x && mv x/usr/bin/* "$root/tc/bin/") || say "there is no clippy for it"
    rm -rf "$work"
}

# The suite in use may have a wasi-libc too old to link with this std: a newer suite's is taken, one
# package without dependencies, from the mirror this machine already uses.
add_libc() {
    local suite home
    for suite in $libc_suites; do
        home=$work/$suite
        private_apt "$home" -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=/dev/null
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$home/sources.list"
        (cd "$home" && apt-get "${apt_options[@]}" update && apt-get "${apt_options[@]}" download wasi-libc &&
            dpkg -x wasi-libc_*.deb x) || continue
        cp "$home/x/usr/lib/$target/"{crt1-command.o,crt1-reactor.o,libc.a} \
            "$prefix/lib/rustlib/$target/lib/self-contained/" || continue
        if smoke_test; then return; fi
    done
    die "no wasi-libc in ($libc_suites) that links"
}

# A program that names threads, files, clocks and panics must link into a component.
smoke_test() {
    mkdir -p "$work/smoke"
    cat >"$work/smoke/s.rs" <<'RUST'
fn main() {
    let thread = std::thread::Builder::new().spawn(|| 1).map(|h| h.join().unwrap_or(0));
    println!("{} {:?} {:?}", thread.is_ok(), std::fs::read_dir("/").is_ok(), std::time::SystemTime::now());
}
RUST
    rustc +$toolchain --edition 2024 -Copt-level=s -Clto -o "$work/smoke/s.wasm" --target $target "$work/smoke/s.rs" &&
        [ "$(head -c 8 "$work/smoke/s.wasm" | od -An -tx1 | tr -d ' ')" = 0061736d0d000100 ]
}

plus=
case ${SOMA_WASM_TOOLCHAIN:-auto} in
auto)
    if has_target; then :
    elif debian_is_ready; then plus=+$toolchain
    elif ! ask_rustup; then make_debian; plus=+$toolchain; fi ;;
rustup) has_target || ask_rustup || die "no $target: run 'rustup target add $target' where there is a network" ;;
debian) debian_is_ready || make_debian; plus=+$toolchain ;;
*) die "SOMA_WASM_TOOLCHAIN is '$SOMA_WASM_TOOLCHAIN'; it can be auto, rustup or debian" ;;
esac

[ "${1-}" != clippy ] || [ -z "$plus" ] || add_clippy

if [ $# -eq 0 ]; then
    echo "cargo${plus:+ $plus}"
else
    exec cargo ${plus:+"$plus"} "$1" --target $target "${@:2}"
fi

//! Turns what `nginx-sys` found out about the nginx build into `cfg` values.

fn main() {
    println!("cargo::rerun-if-env-changed=DEP_NGINX_FEATURES");
    println!("cargo::rustc-check-cfg=cfg(ngx_feature, values(any()))");
    for feature in std::env::var("DEP_NGINX_FEATURES").unwrap_or_default().split(',') {
        if !feature.trim().is_empty() {
            println!("cargo::rustc-cfg=ngx_feature=\"{}\"", feature.trim());
        }
    }
}

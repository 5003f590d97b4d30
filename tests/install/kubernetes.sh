# shellcheck shell=bash disable=SC2154
# The cluster's manifests: rendered by kustomize, held against the schemas of Kubernetes (kubernetes-validate, which
# brings those of every release) and of KEDA (its own custom resource definitions), and the daemon's configuration in
# them against the daemon.
kustomize=$(command -v kustomize || echo "$cache/kustomize-5.7.1")
validate=$cache/kubernetes-validate-1.37.0
keda=v2.18.1
go_is_new() { [[ $(go version 2>/dev/null) =~ go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 24)); }

if [[ ! -x $kustomize ]]; then
    go_is_new || { note SKIPPED "kubernetes: no kustomize, and no Go of 1.24 or newer to build it with"; exit; }
    say "builds kustomize 5.7.1, once: a minute and a half of processor time"
    GOBIN=$cache/go-bin nice go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1 2>"$work/go.log" ||
        { note SKIPPED "kubernetes: kustomize cannot be built: $(tail -n 1 "$work/go.log")"; exit; }
    mv "$cache/go-bin/kustomize" "$kustomize"
fi
if [[ ! -e $validate/complete ]]; then
    rm -rf "$validate"
    { python3 -m venv "$validate" && "$validate/bin/pip" -q --disable-pip-version-check install \
        kubernetes-validate==1.37.0 jsonschema==4.26.0 pyyaml==6.0.3; } >"$work/pip.log" 2>&1 ||
        { note SKIPPED "kubernetes: kubernetes-validate cannot be had: $(tail -n 1 "$work/pip.log")"; exit; }
    touch "$validate/complete"
fi

releases=(1.29 1.31 1.34)
valid() { # valid FILE RELEASE: strictly, so that a misspelt key is an error; KEDA's kinds have schemas of their own
    "$validate/bin/python" -B tests/install/manifests.py core "$2" "$1"
}
with() { sed "$2" "$1" >"$work/wrong.yaml" && refuses cmp -s "$1" "$work/wrong.yaml"; }
accepted() { # by the daemon itself; files and folders of the cluster are not here
    "$validate/bin/python" -B tests/install/manifests.py configuration - "$work/cpu.yaml" >"$work/sdss.toml" || return
    mkdir -p "$work/etc" && printf secret >"$work/etc/password"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=x -keyout /dev/null -out "$work/etc/ca.crt" 2>/dev/null
    TWINPEAK__SURVEY__FILE=config/surveys/sdss.toml TWINPEAK__MODEL__BUNDLE=config/model TWINPEAK__KAFKA__PASSWORD_FILE=$work/etc/password \
        TWINPEAK__KAFKA__CA_FILE=$work/etc/ca.crt "$twinpeak" check "$work/sdss.toml"
}

for overlay in cpu gpu; do
    check "kustomize renders $overlay" "$kustomize" build "deploy/kubernetes/$overlay" --output "$work/$overlay.yaml"
    for release in "${releases[@]}"; do check "$overlay is valid for Kubernetes $release" valid "$work/$overlay.yaml" "$release"; done
done
mkdir -p "$work/models" && cat >"$work/models/kustomization.yaml" <<OVERLAY
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$work/models" deploy/kubernetes/gpu)]
components: [$(realpath --relative-to="$work/models" deploy/kubernetes/models)]
OVERLAY
check "kustomize renders an overlay with models on a volume" "$kustomize" build "$work/models" --output "$work/models.yaml"
for release in "${releases[@]}"; do check "it is valid for Kubernetes $release" valid "$work/models.yaml" "$release"; done
check "its daemons take what a link on the shared volume leads to" "$validate/bin/python" -B tests/install/manifests.py models - "$work/models.yaml"
replicas() { "$validate/bin/python" -B tests/install/manifests.py replicas - "$@"; }
check "an apply leaves the number of daemons to KEDA" replicas "$work/cpu.yaml" "$work/gpu.yaml"
with "$work/cpu.yaml" 's/^  serviceName: twinpeak/&\n  replicas: 1/'
check "and one that does not is refused" refuses replicas "$work/wrong.yaml"
scraped() { "$validate/bin/python" -B tests/install/manifests.py scraped "$1" "$work/cpu.yaml"; }
check "Prometheus finds the pods, and names job and survey as the rules do" scraped deploy/prometheus/kubernetes.yml
sed 's/pod_label_app_kubernetes_io_instance/pod_label_survey/' deploy/prometheus/kubernetes.yml >"$work/other.yml"
check "by other labels it does not" refuses scraped "$work/other.yml"
promtool=$(command -v promtool || echo "$cache/prometheus-debian/usr/bin/promtool")
configured() { # Debian's promtool knows no Kubernetes: all but how pods are found
    sed '/kubernetes_sd_configs:/,/namespaces:/c\    file_sd_configs: [{files: [none.yml]}]' deploy/prometheus/kubernetes.yml >"$work/prometheus.yml"
    mkdir -p "$work/rules" && cp deploy/prometheus/rules/*.yml "$work/rules/" && "$promtool" check config "$work/prometheus.yml"
}
if [[ -x $promtool ]]; then
    check "promtool accepts the rest of its configuration" configured
else
    note SKIPPED "kubernetes: no promtool to check deploy/prometheus/kubernetes.yml with (tests/watch.sh fetches it)"
fi
for wrong in s/readinessProbe:/readynessProbe:/ 's/serviceName: twinpeak/serviceName: 7/' 's/maxUnavailable: 1/maxUnavailable: [1]/'; do
    with "$work/cpu.yaml" "$wrong"
    check "a manifest that is wrong is refused ($wrong)" refuses valid "$work/wrong.yaml" 1.34
done
check "a daemon has one GPU, named, and the others' overlay has none" "$validate/bin/python" -B tests/install/manifests.py gpu - "$work/gpu.yaml" "$work/cpu.yaml"

if command -v go >/dev/null && folder=$(cd "$work" && go mod download -json "github.com/kedacore/keda/v2@$keda" 2>"$work/go.log" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && [[ $folder ]]; then
    scaled() { "$validate/bin/python" -B tests/install/manifests.py keda "$folder/config/crd/bases" "$1"; }
    check "what scales it is valid for KEDA $keda" scaled "$work/cpu.yaml"
    with "$work/cpu.yaml" s/maxReplicaCount:/maxReplicas:/
    check "a ScaledObject that is wrong is refused" refuses scaled "$work/wrong.yaml"
else
    note SKIPPED "kubernetes: KEDA's definitions cannot be had from Go's module proxy; its manifests were not validated"
fi
if [[ -x $twinpeak ]]; then
    check "the daemon accepts the configuration in the ConfigMap" accepted
else
    note SKIPPED "kubernetes: no program at $twinpeak to check the ConfigMap with"
fi

# shellcheck shell=bash disable=SC2154 # "status" comes from on_host
# Compares Run/Start of a program under systemd with systemd-run of the same program: whole command lines, in turns. It
# reports the ratio but does not judge it, because emulation exaggerates the processor's share of a start.
daemon_fresh
printf '{"vms": [{"name": "web-1", "unix_path": "/run/hostcall/web.sock"}]}\n' >/etc/hostcall/vms.d/web.json
policy_allow web-1 'hostcall.v1.Run/Start'
mkdir -p /etc/hostcall/services.d
printf '{"services": [{"name": "true", "run": ["/bin/true"], "user": "root", "start_burst": 100}]}\n' \
  >/etc/hostcall/services.d/test.json
on_host systemctl restart hostcalld.service
expect_status 0

# measure COMMAND...: leaves its milliseconds in $measured.
measure() {
  local began=$EPOCHREALTIME
  on_host "$@"
  measured=$(milliseconds_since "$began")
  expect_status 0
}
by_hostcall() { measure hostcall --address unix:/run/hostcall/web.sock run true; }
by_systemd_run() { measure systemd-run --quiet --pipe --wait /bin/true; }

# The first of each also starts what is not there yet.
by_hostcall
by_systemd_run
ratios=()
for round in 1 2 3 4 5 6 7 8 9; do
  by_systemd_run
  systemd_run=$measured
  by_hostcall
  ratios+=("$(jq -n "$measured / $systemd_run")")
  echo "round $round: systemd-run $systemd_run ms, hostcall run $measured ms"
done
tell "$(printf '%s\n' "${ratios[@]}" | jq -s 'sort[4] * 100 | round / 100') of systemd-run's time (goal: at most 1.3)"

#!@PREFIX@/bin/sh
# Written by `swingbridge service install`, which writes it anew. Termux:Boot runs it when the phone has started.
PATH=@PATH@:$PATH
run=@RUN@
program=@PROGRAM@
config=@CONFIG@
data=@DATA@
umask 077
mkdir -p "$run" && cd "$data" || exit 1

# One at a time. A pid from before a reboot may be another program's by now. Android has several names for the same folder.
old=$(cat "$run/pid" 2>/dev/null)
if [ -n "$old" ] && [ "$old" != $$ ] && tr '\000' '\n' <"/proc/$old/cmdline" 2>/dev/null | grep -q '/\.termux/boot/swingbridge-device$'; then
    exit 0
fi
echo $$ >"$run/pid"

say() {
    echo "$1" >"$run/state.new" && mv "$run/state.new" "$run/state"
}

child=
end() {
    trap '' TERM INT HUP
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null
        wait "$child"
    fi
    say "stopped by request, $(date)"
    rm -f "$run/pid"
    termux-wake-unlock 2>/dev/null
    exit 0
}
trap end TERM INT
trap '' HUP

# Without it, Android puts the processor to sleep with the screen.
termux-wake-lock 2>/dev/null

pause=1
while :; do
    # The log of the last start and of the one before, and no more.
    [ -f "$run/device.log" ] && mv "$run/device.log" "$run/device.log.1"
    started=$(date +%s)
    "$program" device --config "$config" </dev/null >"$run/device.log" 2>&1 &
    child=$!
    say "runs (process $child) since $(date)"
    wait "$child"
    code=$?
    child=
    case $code in
    2 | 10 | 11 | 16)
        # These stay wrong until a person acts: command line, configuration, token.
        say "ended with code $code, $(date), and waits for a person: see $run/device.log, then run $0"
        rm -f "$run/pid"
        termux-wake-unlock 2>/dev/null
        exit "$code"
        ;;
    esac
    # What ran for ten minutes has earned a quick start.
    [ $(($(date +%s) - started)) -ge 600 ] && pause=1
    say "ended with code $code, $(date); starts again in $pause seconds"
    sleep "$pause" &
    child=$!
    wait "$child"
    child=
    pause=$((pause * 2))
    [ "$pause" -gt 300 ] && pause=300
done

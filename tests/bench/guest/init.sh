#!/bin/sh
# The first process: says when it is up, runs workloads between marks, and stops the machine. The kernel's command line may have
# SCALE=n (everything n times shorter) and WORK=name,name (those only, or none): the kernel makes them environment variables.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
exec >/dev/ttyS0 2>&1
export SCALE=${SCALE:-1}
echo "@ BOOTED"
run() {
  echo "@ BEGIN $1"
  shift
  "$@"
  echo "@ END"
}
WORK=${WORK:-all}
[ "$WORK" = all ] && WORK="$(work) shell spawn awk gzip md5"
[ "$WORK" = none ] && WORK=
for name in $(echo "$WORK" | tr , ' '); do
  case $name in
    shell) run shell sh -c 'i=0; s=0; n=$((150000/SCALE)); while [ $i -lt $n ]; do s=$(( (s*31+i) & 65535 )); i=$((i+1)); done; echo shell $s' ;;
    spawn) run spawn sh -c 'i=0; n=$((400/SCALE)); while [ $i -lt $n ]; do /bin/true; i=$((i+1)); done; echo spawn $i' ;;
    awk) run awk awk -v n=$((400000/SCALE)) 'BEGIN { for (i = 0; i < n; i++) { s = (s*7+i) % 65521; a[i%997] = s } print "awk", s }' ;;
    gzip) run gzip sh -c 'seq 1 $((200000/SCALE)) | gzip -9 | wc -c' ;;
    md5) run md5 sh -c 'seq 1 $((600000/SCALE)) | md5sum' ;;
    *) run "$name" work "$name" ;;
  esac
done
echo "@ DONE"
poweroff -f

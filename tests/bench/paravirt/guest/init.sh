#!/bin/sh
# The first process: loads the drivers of both modes, takes the disk and the network card that there are, and runs workloads between
# marks. After each mark it waits for a line from outside, so that counters are read while it stands still. The kernel's command line
# has SCALE=n, WORK=name,name and ROLE=server for the guest at the other end of the network.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
export SCALE=${SCALE:-1}
for module in $(cat /lib/modules/load); do insmod "/lib/modules/$module"; done
mount -t devpts devpts /dev/pts 2>/dev/null

case $ROLE in server) own=10.11.0.1 ;; *) own=10.11.0.2 ;; esac
ip link set lo up
ip addr add $own/24 dev eth0 && ip link set eth0 up
if [ "$ROLE" = server ]; then
  echo "@ SERVING"
  exec pv server
fi

tries=0
until [ -b /dev/vdb ] || [ -b /dev/sdb ] || [ $tries -gt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
[ -b /dev/vdb ] && disk=/dev/vd || disk=/dev/sd
mkdir -p /data
# Linux looks for disks of one kind side by side: which of them is the first one differs.
files=${disk}a raw=${disk}b
mount -t ext4 $files /data 2>/dev/null || { files=${disk}b raw=${disk}a && mount -t ext4 $files /data; } || echo "@ FAILED no disk"
echo "@ FOUND disk=$files net=$(basename $(readlink /sys/class/net/eth0/device/driver)) clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
server=10.11.0.1

# Some of everything: files that are made, compressed, read back and kept; processes; a socket; what is computed in between.
mixed() {
  i=0
  n=$((24 / SCALE))
  [ $n -gt 0 ] || n=1
  while [ $i -lt $n ]; do
    seq $i $((i + 20000)) | gzip -6 >/data/mixed.$i.gz
    sync
    echo 3 >/proc/sys/vm/drop_caches
    gunzip -c /data/mixed.$i.gz | sort -r | md5sum >/tmp/sum
    SCALE=40 work sort >/dev/null
    SCALE=24 pv tcpsend $server >/dev/null
    SCALE=24 pv tcprecv $server >/dev/null
    SCALE=40 pv tcpping $server >/dev/null
    SCALE=40 pv syncwrite /data/file >/dev/null
    j=0
    while [ $j -lt 10 ]; do /bin/true; j=$((j + 1)); done
    i=$((i + 1))
  done
  echo mixed $i $(cat /tmp/sum)
}
idle() {
  sleep $((20 / SCALE > 2 ? 20 / SCALE : 2))
  echo idle
}
run() {
  echo "@ BEGIN $1"
  read -r _
  shift
  "$@"
  echo "@ END"
  read -r _
}

echo "@ BOOTED"
read -r _
# Whatever is asked for, the file and the disk have been written once.
SCALE=4 pv seqwrite /data/file >/dev/null
SCALE=4 pv rawwrite $raw >/dev/null
sync
for name in $(echo "$WORK" | tr , ' '); do
  echo 3 >/proc/sys/vm/drop_caches
  case $name in
    switch) run switch pv switch ;;
    seq* | rand* | sync*) run $name pv $name /data/file ;;
    raw*) run $name pv $name $raw ;;
    tcp*) run $name pv $name $server ;;
    mixed | idle) run $name $name ;;
    *) run $name work $name ;;
  esac
done
echo "@ DONE"
poweroff -f

#!/bin/sh
# Run in the image of the version before, on the volume of the database: its server's programs are copied
# into the folder $1, with the libraries and the loader of that image, so that they run in the next one.
set -eu
folder=${1%/*} to=$1
bin=$(pg_config --bindir) library=$(pg_config --pkglibdir) share=$(pg_config --sharedir)
for loader in /lib/ld-musl-*.so.1 /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.*; do
  [ ! -e "$loader" ] || break
done
[ -e "$folder/unfinished" ] || mkdir "$folder"
touch "$folder/unfinished"
rm -rf "$to"
# The server finds its other files by where it lies itself.
mkdir -p "$to$bin" "$to$library" "$to$share" "$to/programs" "$to/libraries"
cp -L "$loader" "$to/loader"
cp -RL "$library/." "$to$library/"
cp -RL "$share/." "$to$share/"
rm -rf "$to$library"/llvmjit* "$to$library/bitcode" # only for speed, and larger than all the rest
for name in postgres pg_ctl pg_controldata pg_resetwal; do
  cp -L "$bin/$name" "$to/programs/"
  cat >"$to$bin/$name" <<PROGRAM
#!/bin/sh
exec $to/loader --argv0 "\$0" --library-path $to/libraries $to/programs/$name "\$@"
PROGRAM
  chmod 755 "$to$bin/$name"
done
for file in "$to"/programs/* "$to$library"/*.so; do
  "$loader" --list "$file" 2>/dev/null || true
done | tr ' \t' '\n\n' | { grep '^/' || true; } | sort -u | while read -r path; do
  case $path in "$to"/*) ;; *) cp -L "$path" "$to/libraries/" ;; esac
done
echo "$bin" >"$to/bin"

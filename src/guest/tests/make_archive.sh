#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes a small signed archive: make_archive.sh DIRECTORY
# keys: DIRECTORY/key.asc signs the suites "good" and "good-security" (which has only lib 2.0);
# other.asc is another's; suite "bare" is unsigned.
set -eu
cd "$1"
export GNUPGHOME="$PWD/gnupg" LC_ALL=C
mkdir -p -m 700 "$GNUPGHOME"
mkdir -p www/pool build
for name in key other; do
  gpg --batch --quiet --passphrase '' --quick-gen-key "$name@example.org" ed25519 sign never
  gpg --armor --export "$name@example.org" > "$name.asc"
done
# package NAME VERSION [FIELD...]
package() {
  tree="build/$1-$2"
  mkdir -p "$tree/DEBIAN" "$tree/usr/share/$1"
  { printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@example.org>\n' "$1" "$2"
    printf 'Description: test\n'; name=$1; version=$2; shift 2
    for field in "$@"; do printf '%s\n' "$field"; done; } > "$tree/DEBIAN/control"
  head -c 300000 /dev/urandom > "$tree/usr/share/$name/data"
  dpkg-deb --root-owner-group -Znone -b "$tree" "www/pool/${name}_${version}_all.deb" > /dev/null
}
package lib 1.0
package lib 2.0
package tool 1.0 'Depends: lib (>= 1.0)' 'Pre-Depends: early'
package early 1.0
package wants-new 1.0 'Depends: through'
package through 1.0 'Depends: lib (>= 2)'
package exact 1.0 'Depends: lib (= 1.0)'
package exact 2.0 'Depends: lib (= 2.0)'
package wants-more 1.0 'Depends: lib (>= 3)'
package wants-none 1.0 'Depends: not-there'
package wants-deep 1.0 'Depends: wants-none'
package loud 1.0 'Conflicts: quiet'
package quiet 1.0
package sender-a 1.0 'Provides: sender'
package sender-b 1.0 'Provides: sender'
package alone 1.0 'Provides: only-one'
package basis 1.0 'Essential: yes'
package apt 1.0
cd www
dpkg-scanpackages --multiversion pool > ../Packages 2> /dev/null
for suite in good good-security bare; do
  mkdir -p "dists/$suite/main/binary-amd64"
  cp ../Packages "dists/$suite/main/binary-amd64/Packages"
  [ $suite != good-security ] ||
    dpkg-scanpackages --multiversion pool/lib_2.0_all.deb > \
      "dists/$suite/main/binary-amd64/Packages" 2> /dev/null
  file=main/binary-amd64/Packages
  { printf 'Origin: Test\nLabel: Test\nSuite: %s\nCodename: %s\nArchitectures: amd64\n' $suite $suite
    printf 'Components: main\nDate: %s\nSHA256:\n' "$(date -Ru | sed 's/+0000/UTC/')"
    printf ' %s %s %s\n' "$(sha256sum "dists/$suite/$file" | cut -d' ' -f1)" \
      "$(stat -c %s "dists/$suite/$file")" "$file"; } > "dists/$suite/Release"
done
for suite in good good-security; do
  gpg --batch --quiet --local-user key@example.org --clearsign --output dists/$suite/InRelease \
    dists/$suite/Release
  rm dists/$suite/Release
done
# The same suite with a byte changed in the index after it was signed.
cp -a dists/good dists/tampered
sed -i 's/^Description: test/Description: tesT/' dists/tampered/main/binary-amd64/Packages
# Signed, then changed in the signed text itself.
cp -a dists/good dists/forged
sed -i 's/^Label: Test/Label: Tesy/' dists/forged/InRelease

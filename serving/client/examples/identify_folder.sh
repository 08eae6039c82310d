#!/bin/sh
# Identifies all scans under a folder, sorts out those that are not T1, and may be
# stopped and started again at any time.
#
#     MRI_SERVER=localhost:8500 sh identify_folder.sh uploads contrasts.jsonl
set -u
folder=${1:?the folder of scans} table=${2:?the table to write}
server=${MRI_SERVER:-localhost:8500}

mri-contrast status --server "$server" || exit 2

# Quoted: the client takes the pattern apart itself, however many files there are.
mri-contrast identify "$folder/**/*.nii.gz" --server "$server" --json \
  --journal "$table.journal" >"$table"
code=$? # 2: some scan could not be read; its line says why

# A loop over single files, for what has to happen to each of them.
find "$folder" -name '*.nii.gz' | sort | while IFS= read -r scan; do
  if mri-contrast check --expected T1 "$scan" --server "$server" >/dev/null 2>&1; then
    printf 'T1\t%s\n' "$scan"
  else
    printf 'not T1\t%s\n' "$scan"
  fi
done
exit "$code"

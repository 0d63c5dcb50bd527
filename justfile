# Recipes of this repository; `just` lists them.
set positional-arguments

python := ".venv/bin/python"

# list the recipes
default:
    @just --list --unsorted

# make .venv from the hash-locked runtime requirements and install reproof into it
[group('environment')]
install requirements="requirements/runtime.txt": (_environment requirements)

# as install, with everything that tests, checks and benchmarks need
[group('environment')]
install-test: (_environment "requirements/test.txt")

# add the heavy frameworks, for the tests marked `frameworks`
[group('environment')]
install-frameworks: install-test
    uv pip install --quiet --python {{python}} --require-hashes --requirement requirements/frameworks.txt

_environment requirements:
    test -x {{python}} || uv venv --quiet --python '>=3.11,<3.14' .venv
    uv pip install --quiet --python {{python}} --require-hashes --requirement {{requirements}}
    uv pip install --quiet --python {{python}} --require-hashes --requirement constraints.txt
    uv pip install --quiet --python {{python}} --no-deps --no-build-isolation --editable .

# the whole loop on a real project: write it, run and record, re-create, compare
demo *arguments: install
    .venv/bin/reproof demo "$@"

# run the tests: `just test`, `just test -k room`
test *arguments: install-test
    .venv/bin/pytest --numprocesses=auto --dist=loadgroup "$@"

# lint, types and import contracts
check: install-test
    .venv/bin/ruff check
    .venv/bin/ruff format --check
    .venv/bin/mypy
    .venv/bin/lint-imports

# apply the formatter and the safe fixes
format: install-test
    .venv/bin/ruff check --fix
    .venv/bin/ruff format

# benchmarks as JSON lines: `just bench overhead`
bench name="overhead" *arguments: install-test
    {{python}} bench/{{name}}.py "${@:2}"

# write the requirements files anew, with hashes
[group('environment')]
lock *arguments:
    uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 {{arguments}} --extra statistics pyproject.toml requirements/test.in --output-file requirements/test.txt
    uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 {{arguments}} --extra statistics pyproject.toml --constraint requirements/test.txt --output-file requirements/runtime.txt
    uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 {{arguments}} requirements/frameworks.in --constraint requirements/test.txt --output-file requirements/frameworks.txt
    uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 {{arguments}} requirements/build.in --constraint requirements/test.txt --output-file constraints.txt

# build the wheel: what builds it is locked by hashes, and the same commit gives the same bytes
[group('package')]
package constraints="constraints.txt": (package-build constraints)

# lock what building needs (the backend and all that it needs), with hashes; what is locked stays
[group('package')]
package-constraints constraints="constraints.txt":
    uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 requirements/build.in --output-file={{constraints}}

# build the wheel with exactly what the constraints lock
[group('package')]
package-build constraints="constraints.txt": clean-build (_package-constraints constraints)
    umask 022 && SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" PYTHONHASHSEED=0 TZ=UTC LC_ALL=C.UTF-8 \
        uv build --build-constraint={{constraints}} --require-hashes --wheel

_package-constraints constraints:
    test -s {{constraints}} || {{just_executable()}} package-constraints {{constraints}}

# remove what a build left
[group('package')]
clean-build:
    rm -rf dist build

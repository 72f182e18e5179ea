# Shared by functions/Makefile and the layers' Makefiles, which `sam build` calls.

ROOT := $(realpath $(dir $(lastword $(MAKEFILE_LIST)))/..)

# Install wheels for Lambda's Python into python/, whatever Python is here: $(call INSTALL,requirements file,options)
define INSTALL
	@for python in "$(ROOT)/.venv/bin/python" python3.13 python3 python; do \
		if "$$python" -m pip --version >/dev/null 2>&1; then break; fi; \
	done; \
	"$$python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary=:all: \
		--implementation cp --python-version 3.13 $(2) \
		--requirement "$(1)" --constraint "$(ROOT)/requirements.txt" --target "$(ARTIFACTS_DIR)/python"
	@cd "$(ARTIFACTS_DIR)/python" && rm -rf bin share && find . -depth -type d \
		\( -name tests -o -name __pycache__ -o -name '*.dist-info' \) -exec rm -rf {} + && find . -name '*.pyi' -delete
endef

# Compile the loader's library, for another processor too, by the C compiler in the package ziglang; without it the loader works in
# Python alone: $(call LINK,options,folder)
define LINK
	@export ZIG_GLOBAL_CACHE_DIR="$(ROOT)/.cache/zig" ZIG_LOCAL_CACHE_DIR="$(ROOT)/.cache/zig"; \
	for python in "$(ROOT)/.venv/bin/python" python3.13 python3 python; do \
		if "$$python" -m pip --version >/dev/null 2>&1; then break; fi; \
	done; \
	if ! "$$python" -c 'import ziglang' >/dev/null 2>&1; then \
		export PYTHONPATH="$(ROOT)/.cache/ziglang"; \
		"$$python" -c 'import ziglang' >/dev/null 2>&1 || "$$python" -m pip install --quiet --disable-pip-version-check \
			--only-binary=:all: --constraint "$(ROOT)/requirements.txt" --target "$$PYTHONPATH" ziglang; \
	fi; \
	rm -f "$(2)/libregular.so"; \
	"$$python" -m ziglang cc $(1) -std=c11 -O2 -shared -fPIC -s -o "$(2)/libregular.so" \
		"$(ROOT)/layers/postgres/regular/regular.c" "$(ROOT)/layers/postgres/regular/calls.c" \
		|| echo "layers/postgres/regular can't be compiled here: the loader will render in Python, at a fifth of the speed" >&2
endef

# Compile to .pyc that are never checked against their source (zip files keep no times to check by), so that a cold start need not.
# Only the Python that Lambda runs writes what it can read; elsewhere Lambda compiles, at each cold start: $(call COMPILE,where Lambda mounts it)
define COMPILE
	@for python in "$(ROOT)/.venv/bin/python" python3.13; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1; then \
			exec "$$python" -m compileall -q -f --invalidation-mode unchecked-hash \
				-s "$(ARTIFACTS_DIR)" -p "$(1)" "$(ARTIFACTS_DIR)"; \
		fi; \
	done; \
	echo "no python3.13 here: $@ is left uncompiled, cold starts take longer"
endef

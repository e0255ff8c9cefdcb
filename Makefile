# Wraps meson; everything real stands in meson.build. `make demo` and `make check` need nothing installed by hand.
BUILD := $(shell tools/build-dir.sh release)
CHECK := $(shell tools/build-dir.sh check)

.PHONY: all deps demo check bench install clean

all: deps
	@tools/build.sh $(BUILD) --buildtype=debugoptimized

demo: all
	@tools/demo.sh $(BUILD)

check: deps
	@tools/build.sh $(CHECK) -Db_sanitize=address,undefined -Dwerror=true
	@tools/check.sh $(CHECK)

bench: all
	@tools/install-deps.sh hyperfine pssh nginx-light curl openssl azure-cli rclone libsecret-1-0
	@tools/install-bench-peers.sh
	meson test -C $(BUILD) --benchmark --verbose --num-processes 1

install: all
	meson install -C $(BUILD)

deps:
	@tools/install-deps.sh

clean:
	rm -rf $(BUILD) $(CHECK)

// SPDX-License-Identifier: GPL-3.0-or-later
#include <goldmill/base/bytes.hpp>
#include <goldmill/factory/pack.hpp>

#include "commands.hpp"

namespace goldmill::cli {

namespace {

int run_pack(const Parsed& parsed, Terminal& terminal) {
  return run_job(terminal, [&](factory::Session& session) -> Result<int> {
    factory::PackRequest request;
    request.images = parsed.arguments();
    request.compression =
        parsed.value("compression") == "gzip" ? store::Compression::gzip : store::Compression::zstd;
    const auto images = TRY(factory::pack_images(session, request));
    terminal.progress().finish();
    const std::string layout = session.home.root().string();
    if (terminal.json()) {
      Json list = Json::array();
      for (const factory::PackedImage& image : images) {
        list.push_back(image.to_json());
      }
      terminal.print_json({{"layout", layout}, {"images", std::move(list)}});
      return 0;
    }
    for (const factory::PackedImage& image : images) {
      terminal.print_line("oci:" + layout + ":" + image.image + "  " + to_text(image.size) + ", " +
                          std::to_string(image.layers) + " layers, " +
                          std::to_string(image.packed) + " packed now");
    }
    return 0;
  });
}

}  // namespace

Command pack_command() {
  return {
      .name = "pack",
      .summary = "pack images' layers so that OCI tools read the store",
      .description =
          {"The store is an OCI image layout. This compresses each layer of the images once, "
           "however many images hold it, and names them in the layout's index.json; skopeo, "
           "podman and umoci then take them from there. goldmill itself needs no packed "
           "layers, but `check --repair` restores damaged ones from them."},
      .arguments = {{"IMAGE",
                     "NAME[@VERSION|:CHANNEL]; without one, all images",
                     Argument::Count::any,
                     Completes::images}},
      .options = {{.name = "compression",
                   .value = "METHOD",
                   .doc = "gzip is larger and slower, for tools that read no zstd.",
                   .choices = {"zstd", "gzip"},
                   .standard = "zstd"}},
      .examples = {{"goldmill pack java", ""},
                   {"skopeo copy oci:$GOLDMILL_HOME:java@1 docker://registry.example.org/java:1",
                    "as pack prints it"},
                   {"goldmill pack --compression gzip java", "umoci before 0.5 reads no zstd"}},
      .see_also = {"check", "export"},
      .run = run_pack};
}

}  // namespace goldmill::cli

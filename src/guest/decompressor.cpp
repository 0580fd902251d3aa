// SPDX-License-Identifier: GPL-3.0-or-later
#include "decompressor.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include <archive.h>
#include <archive_entry.h>
#include <lzma.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace goldmill::guest {

namespace {
constexpr std::size_t kPieceSize = 256U << 10;

Error cannot_decompress(std::string why) {
  return Error{ErrorKind::corrupt,
               "the archive cannot be decompressed: " + std::move(why),
               "the package is damaged where it comes from: take it from another archive"};
}

Error too_much_memory(const std::string& how_much) {
  return Error{ErrorKind::invalid_input,
               "decompressing it takes too much memory: " + how_much,
               "no honest package asks for this: leave it out, or pack it again"};
}

/// What is not compressed, cut into pieces so that who counts them can stop in time.
class Stored : public Decompressor {
 public:
  explicit Stored(std::string_view packed) : rest_(packed) {}
  Result<std::string_view> next() override {
    const std::string_view piece = rest_.substr(0, kPieceSize);
    rest_.remove_prefix(piece.size());
    return piece;
  }

 private:
  std::string_view rest_;
};

class Xz : public Decompressor {
 public:
  Xz(std::string_view packed, Bytes memory) : memory_(memory), piece_(kPieceSize, '\0') {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    stream_.avail_in = packed.size();
  }
  Xz(const Xz&) = delete;
  Xz& operator=(const Xz&) = delete;
  ~Xz() override { ::lzma_end(&stream_); }

  Result<void> start(std::string_view ending) {
    const lzma_ret started = ending == ".xz"
                                 ? ::lzma_stream_decoder(&stream_, memory_.value, LZMA_CONCATENATED)
                                 : ::lzma_alone_decoder(&stream_, memory_.value);
    return started == LZMA_OK ? Result<void>() : failure(started);
  }

  Result<std::string_view> next() override {
    stream_.next_out = reinterpret_cast<std::uint8_t*>(piece_.data());
    stream_.avail_out = piece_.size();
    while (!ended_ && stream_.avail_out > 0) {
      const lzma_ret status = ::lzma_code(&stream_, LZMA_FINISH);
      ended_ = status == LZMA_STREAM_END;
      if (!ended_ && status != LZMA_OK) {
        return failure(status);
      }
    }
    return std::string_view(piece_).substr(0, piece_.size() - stream_.avail_out);
  }

 private:
  Error failure(lzma_ret status) const {
    switch (status) {
      case LZMA_MEMLIMIT_ERROR:
        return too_much_memory(to_text(Bytes{::lzma_memusage(&stream_)}) +
                               "; xz -9 needs half of the " + to_text(memory_) + " allowed");
      case LZMA_MEM_ERROR:
        return Error{ErrorKind::no_space, "no memory to decompress a package"};
      case LZMA_BUF_ERROR:
        return cannot_decompress("it ends early");
      default:
        return cannot_decompress("it is no valid xz stream");
    }
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  Bytes memory_;
  std::string piece_;
  bool ended_ = false;
};

class Zstd : public Decompressor {
 public:
  Zstd(std::string_view packed, Bytes memory)
      : input_{packed.data(), packed.size(), 0}, memory_(memory), piece_(kPieceSize, '\0') {}

  Result<void> start() {
    if (context_ == nullptr) {
      return Error{ErrorKind::no_space, "no memory to decompress a package"};
    }
    const int largest = static_cast<int>(std::bit_width(memory_.value)) - 1;
    const std::size_t set = ::ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, largest);
    return ::ZSTD_isError(set) != 0 ? Result<void>(failure(set)) : Result<void>();
  }

  Result<std::string_view> next() override {
    ZSTD_outBuffer output{piece_.data(), piece_.size(), 0};
    while (output.pos == 0) {
      const std::size_t before = input_.pos;
      const std::size_t status = ::ZSTD_decompressStream(context_.get(), &output, &input_);
      if (::ZSTD_isError(status) != 0) {
        return failure(status);
      }
      is_frame_open_ = status != 0;
      if (output.pos == 0 && input_.pos == before) {
        return is_frame_open_ && input_.size > 0 ? Result<std::string_view>(ends_early())
                                                 : Result<std::string_view>(std::string_view());
      }
    }
    return std::string_view(piece_).substr(0, output.pos);
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
  };
  static Error ends_early() { return cannot_decompress("it ends early"); }
  Error failure(std::size_t status) const {
    if (::ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge) {
      return too_much_memory("more than the " + to_text(memory_) + " that zstd --ultra -22 needs");
    }
    return cannot_decompress(::ZSTD_getErrorName(status));
  }

  std::unique_ptr<ZSTD_DCtx, Free> context_{::ZSTD_createDCtx()};
  ZSTD_inBuffer input_;
  Bytes memory_;
  std::string piece_;
  bool is_frame_open_ = false;
};

struct FreeReader {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};

/// The methods whose memory is bounded by themselves: gzip and bzip2.
class Filtered : public Decompressor {
 public:
  Filtered() : reader_(::archive_read_new()) {}

  Result<void> start(std::string_view packed, int filter) {
    // Appended rather than recognised: otherwise libarchive would decompress, up to 25 times,
    // whatever comes out, and a bomb within a bomb grows without any bytes to count.
    archive_entry* entry = nullptr;
    if (reader_ == nullptr) {
      return Error{ErrorKind::no_space, "no memory to decompress a package"};
    }
    if (::archive_read_support_format_raw(reader_.get()) != ARCHIVE_OK ||
        ::archive_read_append_filter(reader_.get(), filter) != ARCHIVE_OK ||
        ::archive_read_open_memory(reader_.get(), packed.data(), packed.size()) != ARCHIVE_OK) {
      return failure();
    }
    return ::archive_read_next_header(reader_.get(), &entry) == ARCHIVE_OK ? Result<void>()
                                                                           : failure();
  }

  Result<std::string_view> next() override {
    const void* block = nullptr;
    std::size_t size = 0;
    std::int64_t offset = 0;
    while (!ended_ && size == 0) {
      const int status = ::archive_read_data_block(reader_.get(), &block, &size, &offset);
      ended_ = status == ARCHIVE_EOF;
      if (!ended_ && status != ARCHIVE_OK) {
        return failure();
      }
    }
    return std::string_view(static_cast<const char*>(block), ended_ ? 0 : size);
  }

 private:
  Error failure() const {
    const char* why = ::archive_error_string(reader_.get());
    return cannot_decompress(why == nullptr ? "it ends early" : why);
  }

  std::unique_ptr<archive, FreeReader> reader_;
  bool ended_ = false;
};

int filter_of(std::string_view ending) {
  return ending == ".gz"    ? ARCHIVE_FILTER_GZIP
         : ending == ".bz2" ? ARCHIVE_FILTER_BZIP2
                            : ARCHIVE_FILTER_NONE;
}
}  // namespace

Result<std::unique_ptr<Decompressor>> Decompressor::open(std::string_view packed,
                                                         std::string_view ending,
                                                         Bytes memory) {
  if (ending.empty()) {
    return std::unique_ptr<Decompressor>(std::make_unique<Stored>(packed));
  }
  if (ending == ".xz" || ending == ".lzma") {
    auto xz = std::make_unique<Xz>(packed, memory);
    TRY(xz->start(ending));
    return std::unique_ptr<Decompressor>(std::move(xz));
  }
  if (ending == ".zst") {
    auto zstd = std::make_unique<Zstd>(packed, memory);
    TRY(zstd->start());
    return std::unique_ptr<Decompressor>(std::move(zstd));
  }
  if (filter_of(ending) == ARCHIVE_FILTER_NONE) {
    return Error{ErrorKind::unavailable, "no way to decompress '" + std::string(ending) + "'"};
  }
  auto filtered = std::make_unique<Filtered>();
  TRY(filtered->start(packed, filter_of(ending)));
  return std::unique_ptr<Decompressor>(std::move(filtered));
}

}  // namespace goldmill::guest

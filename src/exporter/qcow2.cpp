// SPDX-License-Identifier: GPL-3.0-or-later
// qcow2: our own writer. Batches of clusters are compressed on all cores and written in order,
// so the bytes do not depend on the number of threads.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#define ZLIB_CONST  // zlib then takes its input as const
#include <zlib.h>
#include <zstd.h>

#include "formats.hpp"
#include "qcow2_layout.hpp"
#include "raw_disk.hpp"

namespace goldmill::exporter {

namespace {
constexpr std::uint64_t kBatchClusters = 32;
constexpr std::size_t kAheadPerThread = 4;  // batches in memory

struct Settings {
  Qcow2Compression compression = Qcow2Compression::zstd;
  int level = 3;
  unsigned threads = 1;
};

/// Compresses one cluster; 0 when that gains nothing.
class Compressor {
 public:
  explicit Compressor(const Settings& settings) : settings_(settings) {
    if (settings.compression == Qcow2Compression::zstd) {
      zstd_.reset(ZSTD_createCCtx());
    } else {
      // Raw deflate with a window of 4 KiB: what readers of the format allocate.
      zlib_.reset(new z_stream{});
      ready_ =
          deflateInit2(zlib_.get(), settings.level, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) == Z_OK;
    }
  }

  Result<std::size_t> run(const char* from, char* to) {
    if (zstd_) {
      const std::size_t size =
          ZSTD_compressCCtx(zstd_.get(), to, kCluster - 1, from, kCluster, settings_.level);
      return ZSTD_isError(size) != 0U ? std::size_t{0} : size;
    }
    if (!ready_ || deflateReset(zlib_.get()) != Z_OK) {
      return Error{ErrorKind::internal, "zlib cannot start"};
    }
    zlib_->next_in = reinterpret_cast<const Bytef*>(from);
    zlib_->avail_in = kCluster;
    zlib_->next_out = reinterpret_cast<Bytef*>(to);
    zlib_->avail_out = kCluster - 1;
    if (deflate(zlib_.get(), Z_FINISH) != Z_STREAM_END) {
      return std::size_t{0};
    }
    return static_cast<std::size_t>(kCluster - 1 - zlib_->avail_out);
  }

 private:
  struct FreeZstd {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  struct FreeZlib {
    void operator()(z_stream* stream) const {
      deflateEnd(stream);
      delete stream;
    }
  };
  const Settings& settings_;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd_;
  std::unique_ptr<z_stream, FreeZlib> zlib_;
  bool ready_ = false;
};

/// A run of clusters and, later, what became of it.
struct Batch {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  struct Piece {
    std::uint64_t cluster = 0;
    std::size_t size = 0;  ///< 0: stored as it is, later
  };
  std::vector<Piece> pieces = {};
  std::string bytes = {};
  Result<void> outcome = {};
};

std::vector<Batch> batches_of(const std::vector<Extent>& extents) {
  std::vector<Batch> batches;
  std::uint64_t next = 0;  // extents may share a cluster
  for (const Extent& extent : extents) {
    const std::uint64_t end = (extent.end + kCluster - 1) / kCluster;
    for (next = std::max(next, extent.begin / kCluster); next < end;) {
      const std::uint64_t count = std::min(kBatchClusters, end - next);
      batches.push_back({next, count});
      next += count;
    }
  }
  return batches;
}

Result<void> compress(const RawDisk& disk,
                      Compressor& compressor,
                      std::string& input,
                      Batch& batch) {
  input.resize(batch.count * kCluster);
  TRY(disk.read(batch.first * kCluster, input.data(), input.size()));
  batch.bytes.resize(input.size());
  std::size_t used = 0;
  for (std::uint64_t i = 0; i < batch.count; ++i) {
    const char* cluster = input.data() + i * kCluster;
    if (is_zero(cluster, kCluster)) {
      continue;
    }
    const std::size_t size = TRY(compressor.run(cluster, batch.bytes.data() + used));
    batch.pieces.push_back({batch.first + i, size});
    used += size;
  }
  batch.bytes.resize(used);
  return {};
}

/// Hands batches out to threads and takes them back in order.
class Pipeline {
 public:
  Pipeline(const RawDisk& disk, const Settings& settings, std::vector<Batch> batches)
      : disk_(disk), settings_(settings), batches_(std::move(batches)), done_(batches_.size()) {
    for (unsigned i = 0; i < settings.threads; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  ~Pipeline() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }

  /// The next batch, compressed; nullopt after the last.
  std::optional<Batch> take() {
    std::unique_lock lock(mutex_);
    if (taken_ == batches_.size()) {
      return std::nullopt;
    }
    changed_.wait(lock, [this] { return done_[taken_]; });
    Batch batch = std::move(batches_[taken_++]);
    changed_.notify_all();
    return batch;
  }

 private:
  std::optional<std::size_t> claim() {
    std::unique_lock lock(mutex_);
    const std::size_t ahead = settings_.threads * kAheadPerThread;
    changed_.wait(lock,
                  [&] { return stopped_ || next_ == batches_.size() || next_ < taken_ + ahead; });
    if (stopped_ || next_ == batches_.size()) {
      return std::nullopt;
    }
    return next_++;
  }

  void work() {
    Compressor compressor(settings_);
    std::string input;
    while (const auto index = claim()) {
      Batch& batch = batches_[*index];
      batch.outcome = compress(disk_, compressor, input, batch);
      const std::lock_guard lock(mutex_);
      done_[*index] = true;
      changed_.notify_all();
    }
  }

  const RawDisk& disk_;
  const Settings& settings_;
  std::vector<Batch> batches_;
  std::deque<bool> done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0;
  std::size_t taken_ = 0;
  bool stopped_ = false;
  std::vector<std::jthread> threads_;  // last: they end before the rest goes
};

class Writer {
 public:
  Writer(const RawDisk& disk, const Settings& settings, int output)
      : disk_(disk),
        layout_(disk.size(), settings.compression),
        output_(output),
        at_(layout_.data_begin()) {}

  Result<void> add(const Batch& batch) {
    std::uint64_t offset = at_;
    for (const Batch::Piece& piece : batch.pieces) {
      if (piece.size == 0) {
        plain_.push_back(piece.cluster);
      } else {
        layout_.add_compressed(piece.cluster, offset, piece.size);
        offset += piece.size;
      }
    }
    TRY(write_at(output_, at_, batch.bytes.data(), batch.bytes.size()));
    at_ = offset;
    return {};
  }

  /// Clusters that did not shrink lie together behind the others: each begins at a cluster.
  Result<void> finish() {
    at_ = (at_ + kCluster - 1) / kCluster * kCluster;
    std::string cluster(kCluster, '\0');
    for (const std::uint64_t number : plain_) {
      TRY(disk_.read(number * kCluster, cluster.data(), cluster.size()));
      TRY(write_at(output_, at_, cluster.data(), cluster.size()));
      layout_.add_plain(number, at_);
      at_ += kCluster;
    }
    TRY(layout_.finish(output_, at_));
    return {};
  }

 private:
  const RawDisk& disk_;
  Qcow2Layout layout_;
  int output_;
  std::uint64_t at_;
  std::vector<std::uint64_t> plain_;
};

Result<Settings> settings_of(const Job& job, const Format& format) {
  Settings settings;
  const std::string compression = option_of(job, format, "compression");
  if (compression != "zstd" && compression != "zlib") {
    return Error{ErrorKind::invalid_input,
                 "qcow2 cannot be compressed by '" + compression + "'",
                 "known: zstd, zlib (readable by QEMU before 5.1)"};
  }
  const bool zstd = compression == "zstd";
  settings.compression = zstd ? Qcow2Compression::zstd : Qcow2Compression::zlib;
  const std::string level = option_of(job, format, "level");
  settings.level =
      level.empty() ? (zstd ? 3 : 6) : TRY(number_option(level, "level", 1, zstd ? 19 : 9));
  const int threads = TRY(number_option(option_of(job, format, "threads"), "threads", 0, 256));
  settings.threads = threads > 0 ? static_cast<unsigned>(threads)
                                 : std::max(1U, std::thread::hardware_concurrency());
  return settings;
}

Result<void> write_qcow2(const Job& job) {
  const Settings settings = TRY(settings_of(job, qcow2_format()));
  const RawDisk disk = TRY(RawDisk::open(job.source.disk));
  if (disk.size() % 512 != 0 || disk.size() == 0) {
    return Error{ErrorKind::invalid_input, "the disk's size is no multiple of 512 bytes"};
  }
  Writer writer(disk, settings, job.output);
  Pipeline pipeline(disk, settings, batches_of(TRY(disk.data())));
  while (auto batch = pipeline.take()) {
    TRY(check_cancelled(job.progress));
    TRY(std::move(batch->outcome));
    TRY(writer.add(*batch));
    if (job.progress.show) {
      job.progress.show((batch->first + batch->count) * kCluster, disk.size());
    }
  }
  return writer.finish();
}
}  // namespace

Format qcow2_format() {
  return {"qcow2",
          "compressed disk for QEMU, KVM, libvirt, Proxmox, OpenStack",
          ".qcow2",
          std::nullopt,
          {{"compression", "zstd or zlib", "zstd"},
           {"level", "1 to 19 (zstd) or 9 (zlib); more is smaller and slower", ""},
           {"threads", "0: one for each core; the bytes do not depend on it", "0"}},
          write_qcow2};
}

}  // namespace goldmill::exporter

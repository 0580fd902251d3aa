// SPDX-License-Identifier: GPL-3.0-or-later
#include "qcow2_writer.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#define ZLIB_CONST  // zlib then takes its input as const
#include <zlib.h>
#include <zstd.h>

#include "formats.hpp"

namespace goldmill::exporter {

namespace {
using qcow2::kCluster;

constexpr std::uint64_t kBatchClusters = 32;
constexpr std::size_t kAheadPerThread = 4;  // batches in memory

/// Compresses one cluster; 0 when that gains nothing.
class Compressor {
 public:
  explicit Compressor(const Qcow2Settings& settings) : settings_(settings) {
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
  const Qcow2Settings& settings_;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd_;
  std::unique_ptr<z_stream, FreeZlib> zlib_;
  bool ready_ = false;
};

/// A run of clusters and, later, what became of it.
struct Batch {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  struct Piece {
    Cluster cluster;
    bool is_new = true;  ///< not as the backing disk has it
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

/// The cluster's digest where it is asked for, and whether the backing disk has the same.
Batch::Piece compare(const Qcow2Settings& settings, std::uint64_t number, const char* content) {
  Batch::Piece piece;
  piece.cluster.number = static_cast<std::uint32_t>(number);
  if (!settings.maps) {
    return piece;
  }
  piece.cluster.content = sha256(std::string_view(content, kCluster));
  const Cluster* below =
      settings.backing == nullptr ? nullptr : settings.backing->clusters.find(number);
  if (below != nullptr && below->content == piece.cluster.content) {
    piece.cluster.stored = below->stored;
    piece.is_new = false;
  }
  return piece;
}

Result<void> compress(const RawDisk& disk,
                      const Qcow2Settings& settings,
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
    Batch::Piece piece = compare(settings, batch.first + i, cluster);
    if (piece.is_new) {
      const std::size_t size = TRY(compressor.run(cluster, batch.bytes.data() + used));
      piece.cluster.stored = static_cast<std::uint32_t>(size);
      used += size;
    }
    batch.pieces.push_back(piece);
  }
  batch.bytes.resize(used);
  return {};
}

/// Hands batches out to threads and takes them back in order.
class Pipeline {
 public:
  Pipeline(const RawDisk& disk, const Qcow2Settings& settings, std::vector<Batch> batches)
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
      batch.outcome = compress(disk_, settings_, compressor, input, batch);
      const std::lock_guard lock(mutex_);
      done_[*index] = true;
      changed_.notify_all();
    }
  }

  const RawDisk& disk_;
  const Qcow2Settings& settings_;
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
  Writer(const RawDisk& disk, const Qcow2Settings& settings, int output)
      : disk_(disk),
        settings_(settings),
        layout_(disk.size(), settings.compression),
        output_(output),
        at_(layout_.data_begin()) {
    if (settings.backing != nullptr) {
      layout_.stand_on(settings.backing->name);
    }
  }

  Result<void> add(const Batch& batch) {
    std::uint64_t offset = at_;
    for (const Batch::Piece& piece : batch.pieces) {
      if (settings_.maps) {
        clusters_.push_back(piece.cluster);
      }
      if (!piece.is_new) {
        continue;
      }
      if (piece.cluster.stored == 0) {
        plain_.push_back(piece.cluster.number);
      } else {
        layout_.add_compressed(piece.cluster.number, offset, piece.cluster.stored);
        offset += piece.cluster.stored;
      }
    }
    TRY(write_at(output_, at_, batch.bytes.data(), batch.bytes.size()));
    at_ = offset;
    return {};
  }

  /// Clusters that did not shrink lie together behind the others: each begins at a cluster.
  Result<ClusterMap> finish() {
    at_ = qcow2::clusters_of(at_) * kCluster;
    std::string cluster(kCluster, '\0');
    for (const std::uint64_t number : plain_) {
      TRY(disk_.read(number * kCluster, cluster.data(), cluster.size()));
      TRY(write_at(output_, at_, cluster.data(), cluster.size()));
      layout_.add_plain(number, at_);
      at_ += kCluster;
    }
    ClusterMap map(std::move(clusters_));
    hide_what_has_gone(map);
    TRY(layout_.finish(output_, at_));
    return map;
  }

 private:
  /// What the backing disk has and this one has not must read as zeros.
  void hide_what_has_gone(const ClusterMap& map) {
    if (settings_.backing == nullptr) {
      return;
    }
    for (const Cluster& below : settings_.backing->clusters.clusters()) {
      if (below.number < qcow2::clusters_of(disk_.size()) && map.find(below.number) == nullptr) {
        layout_.add_zeros(below.number);
      }
    }
  }

  const RawDisk& disk_;
  const Qcow2Settings& settings_;
  Qcow2Layout layout_;
  int output_;
  std::uint64_t at_;
  std::vector<std::uint64_t> plain_;
  std::vector<Cluster> clusters_;
};
}  // namespace

Result<ClusterMap> write_clusters(const RawDisk& disk,
                                  const Qcow2Settings& settings,
                                  const Progress& progress,
                                  int output) {
  if (disk.size() % 512 != 0 || disk.size() == 0) {
    return Error{ErrorKind::invalid_input, "the disk's size is no multiple of 512 bytes"};
  }
  Writer writer(disk, settings, output);
  Pipeline pipeline(disk, settings, batches_of(TRY(disk.data())));
  while (auto batch = pipeline.take()) {
    TRY(check_cancelled(progress));
    TRY(std::move(batch->outcome));
    TRY(writer.add(*batch));
    if (progress.show) {
      progress.show((batch->first + batch->count) * kCluster, disk.size());
    }
  }
  return writer.finish();
}

}  // namespace goldmill::exporter

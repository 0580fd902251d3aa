// SPDX-License-Identifier: GPL-3.0-or-later
#include <chrono>

#include <goldmill/base/suggestion.hpp>
#include <goldmill/store/catalogue.hpp>

#include "database.hpp"

namespace goldmill::store {

struct Catalogue::Database : public store::Database {
  explicit Database(store::Database&& base) : store::Database(std::move(base)) {}
};

namespace {

constexpr std::int64_t kSchemaVersion = 3;  // 2: claims; 3: layer_blobs, contents

constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS steps ("
    " key TEXT PRIMARY KEY, image TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
    " layer TEXT, description TEXT NOT NULL, result TEXT NOT NULL, seconds REAL NOT NULL,"
    " created INTEGER NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS steps_by_image ON steps (image, name, created)",
    "CREATE TABLE IF NOT EXISTS images ("
    " name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,"
    " disk_digest TEXT NOT NULL, parent TEXT, config TEXT NOT NULL, details TEXT NOT NULL,"
    " created INTEGER NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, digest)) STRICT",
    // A version number is never given twice, even after its image was removed.
    "CREATE TABLE IF NOT EXISTS versions (name TEXT PRIMARY KEY, newest INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS channels ("
    " name TEXT NOT NULL, channel TEXT NOT NULL, version INTEGER NOT NULL,"
    " PRIMARY KEY (name, channel)) STRICT",
    "CREATE TABLE IF NOT EXISTS claims ("
    " owner TEXT NOT NULL, object TEXT NOT NULL, PRIMARY KEY (owner, object)) STRICT",
    "CREATE TABLE IF NOT EXISTS layer_blobs ("
    " layer TEXT PRIMARY KEY, blob TEXT NOT NULL, size INTEGER NOT NULL,"
    " compression TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS contents ("
    " object TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT",
};

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Result<void> make_tables(store::Database& database) {
  for (const char* table : kTables) {
    TRY(database.run(table));
  }
  return database.run("PRAGMA user_version = " + std::to_string(kSchemaVersion));
}

/// Among a record or details: SQLite notices no byte that changed within a text.
constexpr const char* kChecksum = "checksum";

constexpr const char* kStepColumns =
    "SELECT key, image, name, kind, layer, description, result, seconds, created, rowid FROM "
    "steps ";

/// With its checksum among the record.
Result<StepRecord> whole_step_of(const Row& row) {
  StepRecord step;
  step.key = TRY(Digest::parse(row.text(0)));
  step.image = row.text(1);
  step.name = row.text(2);
  step.kind = row.text(3);
  if (!row.is_null(4)) {
    step.layer = TRY(Digest::parse(row.text(4)));
  }
  step.record = TRY(parse_json(row.text(5), "a step's record"));
  step.result = TRY(parse_json(row.text(6), "a step's result"));
  step.seconds = row.real(7);
  step.created = row.integer(8);
  if (!step.record.is_object()) {
    return Error{ErrorKind::corrupt, "a step's record is no object"};
  }
  return step;
}

Result<StepRecord> step_of(const Row& row) {
  auto step = whole_step_of(row);
  if (!step) {
    step.error().hint = "`goldmill check --repair` forgets it, and it runs again";
    return step;
  }
  step->record.erase(kChecksum);
  return step;
}

constexpr const char* kImageColumns =
    "SELECT name, version, digest, disk_digest, config, details, created FROM images ";

Result<ImageRecord> image_of(const Row& row) {
  ImageRecord image;
  image.name = row.text(0);
  image.version = static_cast<int>(row.integer(1));
  image.digest = TRY(Digest::parse(row.text(2)));
  image.disk_digest = TRY(Digest::parse(row.text(3)));
  image.config = TRY(parse_json(row.text(4), "an image's config"));
  image.details = TRY(parse_json(row.text(5), "an image's details"));
  image.created = row.integer(6);
  return image;
}

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Of all that builds rely on.
std::string checksum_of(const StepRecord& step) {
  Json record = step.record;
  record.erase(kChecksum);
  return sha256(step.key.hex() + "\n" + step.image + "\n" + step.name + "\n" + step.kind + "\n" +
                (step.layer ? step.layer->hex() : "") + "\n" + dump(record) + "\n" +
                dump(step.result))
      .hex();
}

/// For the row.
std::string record_of(const StepRecord& step) {
  Json record = step.record;
  record[kChecksum] = checksum_of(step);
  return dump(record);
}

/// Of all that is kept of an image.
std::string checksum_of(const ImageRecord& image) {
  Json details = image.details;
  details.erase(kChecksum);
  return sha256(image.reference() + "\n" + image.digest.hex() + "\n" + image.disk_digest.hex() +
                "\n" + dump(image.config) + "\n" + dump(details))
      .hex();
}

/// What an earlier goldmill wrote has none.
bool is_other(const Json& part, const std::string& checksum) {
  const auto written = find_string(part, kChecksum);
  return written && *written != checksum;
}

bool is_damaged(const ImageRecord& image) {
  return is_other(image.details, checksum_of(image));
}

/// For the row.
std::string details_of(const ImageRecord& image) {
  Json details = image.details;
  details[kChecksum] = checksum_of(image);
  return dump(details);
}

/// Collects the rows of a query about one table.
template <typename Record>
Result<std::vector<Record>> select(store::Database& database,
                                   const std::string& sql,
                                   const std::vector<SqlValue>& values,
                                   Result<Record> (*read)(const Row&)) {
  std::vector<Record> records;
  TRY(database.run(sql, values, [&](const Row& row) -> Result<void> {
    records.push_back(TRY(read(row)));
    return {};
  }));
  return records;
}

template <typename Record>
std::optional<Record> first_of(std::vector<Record> records) {
  if (records.empty()) {
    return std::nullopt;
  }
  return std::move(records.front());
}

/// What only helps to compare is left out where it cannot be read.
Result<std::vector<StepRecord>> readable_steps(store::Database& database,
                                               const std::string& sql,
                                               const std::vector<SqlValue>& values) {
  std::vector<StepRecord> steps;
  TRY(database.run(sql, values, [&](const Row& row) -> Result<void> {
    if (auto step = step_of(row)) {
      steps.push_back(*std::move(step));
    }
    return {};
  }));
  return steps;
}

/// Rows that are not what was written, by number, with the steps' names.
using DamagedSteps = std::vector<std::pair<std::int64_t, std::string>>;
Result<DamagedSteps> damaged_steps(store::Database& database) {
  DamagedSteps damaged;
  TRY(database.run(kStepColumns, {}, [&](const Row& row) -> Result<void> {
    const auto step = whole_step_of(row);
    if (!step || is_other(step->record, checksum_of(*step))) {
      damaged.emplace_back(row.integer(9), row.text(2));
    }
    return {};
  }));
  return damaged;
}

}  // namespace

Catalogue::Catalogue(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Catalogue::Catalogue(Catalogue&&) noexcept = default;
Catalogue& Catalogue::operator=(Catalogue&&) noexcept = default;
Catalogue::~Catalogue() = default;

Result<Catalogue> Catalogue::open(const std::filesystem::path& file) {
  auto database = std::make_unique<Database>(TRY(store::Database::open(file)));
  std::int64_t found = 0;
  TRY(database->run("PRAGMA user_version", {}, [&](const Row& row) -> Result<void> {
    found = row.integer(0);
    return {};
  }));
  if (found > kSchemaVersion) {
    return Error{ErrorKind::conflict,
                 file.string() + " was made by a newer goldmill",
                 "use that version, or another GOLDMILL_HOME"};
  }
  if (found < kSchemaVersion) {
    TRY(database->transact([&] { return make_tables(*database); }));
  }
  return Catalogue(std::move(database));
}

Result<std::optional<StepRecord>> Catalogue::find_step(const Digest& key) {
  return first_of(TRY(select<StepRecord>(
      *database_, std::string(kStepColumns) + "WHERE key = ?", {key.hex()}, step_of)));
}

Result<void> Catalogue::record_step(const StepRecord& step) {
  const SqlValue layer = step.layer ? SqlValue(step.layer->hex()) : SqlValue(nullptr);
  // Two builds may do the same step at once; both results are right and the first stays.
  return database_->run(
      "INSERT INTO steps (key, image, name, kind, layer, description, result, seconds, created)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
      {step.key.hex(),
       step.image,
       step.name,
       step.kind,
       layer,
       record_of(step),
       dump(step.result),
       step.seconds,
       now()});
}

Result<bool> Catalogue::vouches_for(const Digest& layer) {
  bool found = false;
  TRY(database_->run("SELECT 1 FROM steps WHERE layer = ? LIMIT 1",
                     {layer.hex()},
                     [&found](const Row& /*row*/) -> Result<void> {
                       found = true;
                       return {};
                     }));
  return found;
}

Result<std::vector<StepRecord>> Catalogue::newest_steps(const std::string& image,
                                                        const std::string& name,
                                                        int most) {
  return readable_steps(
      *database_,
      std::string(kStepColumns) +
          "WHERE image = ? AND name = ? ORDER BY created DESC, rowid DESC LIMIT ?",
      {image, name, most});
}

Result<std::vector<StepRecord>> Catalogue::newest_steps_on(const std::string& image,
                                                           const std::string& kind,
                                                           const Json& parents,
                                                           int most) {
  return readable_steps(*database_,
                        std::string(kStepColumns) +
                            "WHERE image = ? AND kind = ? AND CASE WHEN json_valid(description)"
                            " THEN json_extract(description, '$.parents') = ? END"
                            " ORDER BY created DESC, rowid DESC LIMIT ?",
                        {image, kind, dump(parents), most});
}

Result<ImageRecord> Catalogue::add_image(ImageRecord image) {
  image.created = now();
  TRY(database_->transact([&]() -> Result<void> {
    const auto same = first_of(
        TRY(select<ImageRecord>(*database_,
                                std::string(kImageColumns) + "WHERE name = ? AND digest = ?",
                                {image.name, image.digest.hex()},
                                image_of)));
    if (same) {
      image.version = same->version;
      image.created = same->created;
      return {};
    }
    TRY(
        database_->run("INSERT INTO versions (name, newest) VALUES (?, 1)"
                       " ON CONFLICT (name) DO UPDATE SET newest = newest + 1",
                       {image.name}));
    TRY(database_->run("SELECT newest FROM versions WHERE name = ?",
                       {image.name},
                       [&](const Row& row) -> Result<void> {
                         image.version = static_cast<int>(row.integer(0));
                         return {};
                       }));
    const auto parent = find_string(image.details, "parent_digest");
    return database_->run(
        "INSERT INTO images (name, version, digest, disk_digest, parent, config, details, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        {image.name,
         std::int64_t{image.version},
         image.digest.hex(),
         image.disk_digest.hex(),
         parent ? SqlValue(*parent) : SqlValue(nullptr),
         dump(image.config),
         details_of(image),
         image.created});
  }));
  return image;
}

Result<void> Catalogue::update_details(const ImageRecord& image) {
  const auto rows =
      TRY(select<ImageRecord>(*database_,
                              std::string(kImageColumns) + "WHERE name = ? AND version = ?",
                              {image.name, std::int64_t{image.version}},
                              image_of));
  if (std::any_of(rows.begin(), rows.end(), is_damaged)) {  // a new checksum would hide it
    return Error{ErrorKind::corrupt,
                 "what the catalogue says of " + image.reference() + " is damaged",
                 "`goldmill check` tells what else is; remove the image and build it again"};
  }
  return database_->run("UPDATE images SET details = ? WHERE name = ? AND version = ?",
                        {details_of(image), image.name, std::int64_t{image.version}});
}

Result<ImageRecord> Catalogue::find_image(const ImageReference& reference) {
  std::string sql = std::string(kImageColumns) + "WHERE name = ?1 ";
  std::vector<SqlValue> values = {reference.name};
  if (reference.version > 0) {
    sql += "AND version = ?2 ";
    values.emplace_back(std::int64_t{reference.version});
  } else if (!reference.channel.empty()) {
    sql += "AND version = (SELECT version FROM channels WHERE name = ?1 AND channel = ?2) ";
    values.emplace_back(reference.channel);
  }
  auto found = first_of(TRY(
      select<ImageRecord>(*database_, sql + "ORDER BY version DESC LIMIT 1", values, image_of)));
  if (found) {
    return *std::move(found);
  }
  std::vector<std::string> names;
  for (const ImageRecord& image : TRY(images())) {
    names.push_back(image.name == reference.name ? image.reference() : image.name);
  }
  return Error{ErrorKind::not_found,
               "there is no image " + reference.text(),
               names.empty() ? "build one: goldmill build RECIPE.yaml"
                             : did_you_mean(reference.text(), names)};
}

Result<std::optional<ImageRecord>> Catalogue::find_image_by_digest(const Digest& digest) {
  return first_of(TRY(select<ImageRecord>(
      *database_, std::string(kImageColumns) + "WHERE digest = ?", {digest.hex()}, image_of)));
}

Result<std::vector<ImageRecord>> Catalogue::images() {
  return select<ImageRecord>(
      *database_, std::string(kImageColumns) + "ORDER BY name, version", {}, image_of);
}

Result<std::vector<ImageRecord>> Catalogue::children_of(const Digest& digest) {
  return select<ImageRecord>(*database_,
                             std::string(kImageColumns) + "WHERE parent = ? ORDER BY name, version",
                             {digest.text()},  // as the details say it
                             image_of);
}

Result<void> Catalogue::remove_image(const ImageRecord& image,
                                     const std::function<Result<void>()>& allowed) {
  return database_->transact([&]() -> Result<void> {
    TRY(allowed());
    TRY(database_->run("DELETE FROM channels WHERE name = ? AND version = ?",
                       {image.name, std::int64_t{image.version}}));
    return database_->run("DELETE FROM images WHERE name = ? AND version = ?",
                          {image.name, std::int64_t{image.version}});
  });
}

Result<void> Catalogue::claim(const std::string& owner, const std::vector<std::string>& objects) {
  return alone([&]() -> Result<void> {
    for (const std::string& object : objects) {
      TRY(database_->run("INSERT INTO claims (owner, object) VALUES (?, ?) ON CONFLICT DO NOTHING",
                         {owner, object}));
    }
    return {};
  });
}

Result<void> Catalogue::remove_claims(const std::string& owner) {
  return database_->run("DELETE FROM claims WHERE owner = ?", {owner});
}

Result<std::vector<std::pair<std::string, std::string>>> Catalogue::claims() {
  std::vector<std::pair<std::string, std::string>> found;
  TRY(database_->run("SELECT owner, object FROM claims", {}, [&](const Row& row) -> Result<void> {
    found.emplace_back(row.text(0), row.text(1));
    return {};
  }));
  return found;
}

Result<std::vector<StepObject>> Catalogue::step_objects() {
  std::vector<StepObject> objects;
  TRY(database_->run("SELECT key, layer, created, description FROM steps",
                     {},
                     [&](const Row& row) -> Result<void> {
                       const auto key = Digest::parse(row.text(0));
                       const auto layer = Digest::parse(row.text(1));
                       if (key && (layer || row.is_null(1))) {  // else damage() tells of it
                         objects.push_back({*key,
                                            row.is_null(1) ? std::nullopt : std::optional(*layer),
                                            row.integer(2),
                                            row.text(3)});
                       }
                       return {};
                     }));
  return objects;
}

Result<void> Catalogue::forget_step(const Digest& key) {
  return database_->run("DELETE FROM steps WHERE key = ?", {key.hex()});
}

Result<void> Catalogue::record_blob(const Digest& layer, const LayerBlob& blob) {
  return database_->run(
      "INSERT OR REPLACE INTO layer_blobs (layer, blob, size, compression)"
      " VALUES (?, ?, ?, ?)",
      {layer.hex(),
       blob.blob.hex(),
       static_cast<std::int64_t>(blob.size),
       blob.compression == Compression::gzip ? "gzip" : "zstd"});
}

Result<std::map<Digest, LayerBlob>> Catalogue::layer_blobs() {
  std::map<Digest, LayerBlob> found;
  TRY(database_->run("SELECT layer, blob, size, compression FROM layer_blobs",
                     {},
                     [&](const Row& row) -> Result<void> {
                       found[TRY(Digest::parse(row.text(0)))] = {
                           TRY(Digest::parse(row.text(1))),
                           static_cast<std::uint64_t>(row.integer(2)),
                           row.text(3) == "gzip" ? Compression::gzip : Compression::zstd};
                       return {};
                     }));
  return found;
}

Result<void> Catalogue::forget_blob(const Digest& layer) {
  return database_->run("DELETE FROM layer_blobs WHERE layer = ?", {layer.hex()});
}

Result<void> Catalogue::record_content(const std::string& object, const Digest& content) {
  return database_->run("INSERT OR REPLACE INTO contents (object, digest) VALUES (?, ?)",
                        {object, content.hex()});
}

Result<std::map<std::string, Digest>> Catalogue::contents() {
  std::map<std::string, Digest> found;
  TRY(database_->run(
      "SELECT object, digest FROM contents", {}, [&](const Row& row) -> Result<void> {
        found[row.text(0)] = TRY(Digest::parse(row.text(1)));
        return {};
      }));
  return found;
}

Result<void> Catalogue::forget_content(const std::string& object) {
  return database_->run("DELETE FROM contents WHERE object = ?", {object});
}

Result<std::vector<std::string>> Catalogue::damage() {
  std::vector<std::string> found;
  TRY(database_->run("PRAGMA integrity_check(20)", {}, [&](const Row& row) -> Result<void> {
    if (row.text(0) != "ok") {
      found.push_back(row.text(0));
    }
    return {};
  }));
  const auto all = images();
  if (!all) {
    found.push_back(all.error().text());
  }
  for (const ImageRecord& image : all ? *all : std::vector<ImageRecord>()) {
    if (is_damaged(image)) {
      found.push_back("what it says of " + image.reference() + " is not what was written");
    }
  }
  const auto steps = damaged_steps(*database_);
  if (!steps) {
    found.push_back(steps.error().text());
  }
  for (const auto& [row, name] : steps ? *steps : DamagedSteps()) {
    found.push_back("what it says of the step '" + name + "' is not what was written");
  }
  return found;
}

Result<void> Catalogue::forget_damaged_steps() {
  return alone([this]() -> Result<void> {
    for (const auto& [row, name] : TRY(damaged_steps(*database_))) {
      TRY(database_->run("DELETE FROM steps WHERE rowid = ?", {row}));
    }
    return {};
  });
}

Result<void> Catalogue::alone(const std::function<Result<void>()>& work) {
  return database_->transact(work);
}

Result<std::vector<std::string>> Catalogue::channels_of(const ImageRecord& image) {
  std::vector<std::string> channels;
  TRY(database_->run("SELECT channel FROM channels WHERE name = ? AND version = ?",
                     {image.name, std::int64_t{image.version}},
                     [&](const Row& row) -> Result<void> {
                       channels.push_back(row.text(0));
                       return {};
                     }));
  return channels;
}

Result<void> Catalogue::set_channel(const std::string& name,
                                    const std::string& channel,
                                    int version) {
  return database_->run(
      "INSERT INTO channels (name, channel, version) VALUES (?, ?, ?)"
      " ON CONFLICT (name, channel) DO UPDATE SET version = excluded.version",
      {name, channel, std::int64_t{version}});
}

}  // namespace goldmill::store

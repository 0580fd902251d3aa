// SPDX-License-Identifier: GPL-3.0-or-later
#include "user_data.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <goldmill/kickstart/password.hpp>
#include <goldmill/kickstart/recipe_words.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "document.hpp"
#include "schema.hpp"

namespace goldmill::recipe {

namespace {

using kickstart::ImportRow;

struct Reason {
  const char* keys;
  const char* note;
};

/// Keys that belong to an instance, or to cloud-init itself.
constexpr Reason kReasons[] = {
    {" hostname fqdn prefer_fqdn_over_hostname preserve_hostname manage_etc_hosts "
     "create_hostname_file ",
     "each instance gets a host name of its own"},
    {" package_update package_upgrade package_reboot_if_required apt_update apt_upgrade ",
     "packages are the newest of the archive"},
    {" power_state ", "nothing runs while an image is built"},
    {" final_message output datasource datasource_list cloud_init_modules cloud_config_modules "
     "cloud_final_modules merge_how merge_type vendor_data ",
     "it is about how cloud-init runs, and it does not"},
    {" growpart resize_rootfs ", "the root always grows with the disk"},
    {" disk_setup fs_setup mounts mount_default_fields swap ",
     "disks beside the image's own are an instance's; see `disk.partitions`"},
    {" ssh_keys ssh_deletekeys ssh_genkeytypes ssh_publish_hostkeys no_ssh_fingerprints "
     "ssh_fp_console_blacklist ssh_key_console_blacklist ",
     "each instance makes its own host key"},
    {" password chpasswd ", "passwords are hashes, of `baseline.users`"},
    {" ssh_import_id ", "keys are written into the recipe, not fetched by name"},
    {" random_seed ", "each instance gets a seed of its own"},
    {" ntp ", "the recipe's os asks its own time servers"},
    {" network ", "an instance's network is given when it starts"},
    {" apt apt_sources ",
     "the recipe's `repositories:` and `apt.sources` add archives, each with its key"},
    {" ca_certs ca-certs ",
     "put the certificate into /usr/local/share/ca-certificates by a `files` step, and run "
     "update-ca-certificates"},
    {" phone_home landscape ubuntu_advantage ubuntu_pro rh_subscription spacewalk wireguard ",
     "it needs a machine that runs: do it at first boot"},
    {" puppet ", "a recipe's `puppet` step applies manifests from outside"},
    {" ansible ", "a recipe's `ansible` step applies playbooks from outside"}};

std::string reason_for(const std::string& key) {
  for (const Reason& reason : kReasons) {
    if (kickstart::has_word(reason.keys, key)) {
      return reason.note;
    }
  }
  return "goldmill has nothing like it";
}

bool is_true(const Node& node) {
  return node.kind == Node::Kind::scalar &&
         (node.text == "true" || node.text == "True" || node.text == "yes" || node.text == "on");
}

/// A list of texts, or one text with commas between.
std::vector<std::string> words_of(const Node& node) {
  std::vector<std::string> words;
  for (const Node& item : node.items) {
    if (item.kind == Node::Kind::scalar) {
      words.push_back(item.text);
    }
  }
  std::string rest = node.kind == Node::Kind::scalar ? node.text : "";
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string word = rest.substr(0, comma);
    std::erase(word, ' ');
    if (!word.empty()) {
      words.push_back(std::move(word));
    }
    rest.erase(0, std::min(comma + 1, rest.size()));
  }
  return words;
}

class UserData {
 public:
  UserData(const Document& document, const kickstart::ImportRequest& request)
      : document_(document), request_(request) {}

  Result<kickstart::Import> run() {
    const Node& root = document_.root;
    if (root.kind != Node::Kind::map && root.kind != Node::Kind::null) {
      return document_.error(root, "a cloud-config document is a map of keys");
    }
    for (std::size_t i = 0; i < root.keys.size(); ++i) {
      TRY(translate(root.keys[i], root.items[i]));
    }
    recipe_["recipe"] = kickstart::recipe_name(request_.file);
    recipe_["os"] = request_.os;
    if (!keys_.empty() && users_.empty()) {
      add_default_user();
    }
    for (const std::string& line : keys_) {
      users_.front()["ssh_keys"].push_back(line);
    }
    if (!users_.empty()) {
      baseline_["users"] = users_;
    }
    kickstart::put(recipe_, "baseline", std::move(baseline_));
    kickstart::put(recipe_, "packages", packages_);
    kickstart::put(recipe_, "provision", std::move(steps_));
    return kickstart::Import{std::move(recipe_), std::move(rows_), std::move(places_)};
  }

 private:
  using Verdict = ImportRow::Verdict;

  void say(const Node& key, Verdict verdict, std::string note, const std::string& recipe_key = {}) {
    rows_.push_back({request_.file.string(), key.line, key.text + ":", verdict, std::move(note)});
    if (!recipe_key.empty()) {
      place(recipe_key, key);
    }
  }
  void place(const std::string& path, const Node& said) {
    places_[path] = {request_.file.string(), said.line};
  }
  void told(const Node& key, const std::string& recipe_key, const std::string& note = {}) {
    say(key, note.empty() ? Verdict::mapped : Verdict::changed, note, recipe_key);
  }

  Result<void> translate(const Node& key, const Node& value) {
    using Method = Result<void> (UserData::*)(const Node&, const Node&);
    static const std::map<std::string, Method> kMethods = {
        {"timezone", &UserData::baseline_text},
        {"locale", &UserData::locale},
        {"keyboard", &UserData::keyboard},
        {"users", &UserData::users},
        {"user", &UserData::default_user},
        {"groups", &UserData::groups},
        {"ssh_authorized_keys", &UserData::authorized_keys},
        {"ssh_pwauth", &UserData::password_logins},
        {"disable_root", &UserData::disable_root},
        {"packages", &UserData::packages},
        {"write_files", &UserData::write_files},
        {"bootcmd", &UserData::commands},
        {"runcmd", &UserData::commands}};
    const auto method = kMethods.find(key.text);
    if (method != kMethods.end()) {
      std::size_t step = steps_.size();
      TRY((this->*method->second)(key, value));
      for (; step < steps_.size(); ++step) {
        place(kickstart::entry_path("provision", step), key);
      }
      return {};
    }
    say(key, Verdict::not_applicable, reason_for(key.text));
    return {};
  }

  Result<void> baseline_text(const Node& key, const Node& value) {
    if (value.kind != Node::Kind::scalar) {
      return document_.error(value, "'" + key.text + "' must be text");
    }
    baseline_[key.text] = value.text;
    told(key, "baseline." + key.text);
    return {};
  }

  Result<void> locale(const Node& key, const Node& value) {
    if (value.kind != Node::Kind::scalar || value.text == "false") {
      say(key, Verdict::not_applicable, "no locale");
      return {};
    }
    const std::string name = value.text.substr(0, value.text.find('.'));
    const std::string locale = name == "POSIX" ? "C.UTF-8" : name + ".UTF-8";
    baseline_["locale"] = locale;
    told(key, "baseline.locale", locale == value.text ? "" : locale);
    return {};
  }

  Result<void> keyboard(const Node& key, const Node& value) {
    const Node* layout = value.find("layout");
    if (layout == nullptr) {
      return document_.error(value, "'keyboard' has no 'layout'");
    }
    const Node* variant = value.find("variant");
    baseline_["keyboard"] =
        layout->text + (variant == nullptr || variant->text.empty() ? "" : "-" + variant->text);
    told(key, "baseline.keyboard");
    return {};
  }

  Result<void> password_logins(const Node& key, const Node& value) {
    baseline_["ssh"] = {{"passwords", is_true(value)}};
    told(key, "baseline.ssh.passwords");
    return {};
  }

  Result<void> disable_root(const Node& key, const Node& value) {
    is_true(value) ? told(key, "baseline.root")
                   : told(key, "baseline.root", "root has no password: keys of users let in");
    return {};
  }

  Result<void> users(const Node& key, const Node& value) {
    std::string note;
    for (const Node& item : value.items) {
      if (item.kind == Node::Kind::scalar && item.text == "default") {
        add_default_user();
        continue;
      }
      if (item.kind != Node::Kind::map) {
        return document_.error(item, "a user must be a map, or 'default'");
      }
      kickstart::add_note(note, TRY(user(item)));
    }
    told(key, "baseline.users", note);
    return {};
  }

  Result<void> default_user(const Node& key, const Node& value) {
    const std::string more = value.kind == Node::Kind::map ? TRY(user(value)) : "";
    told(key, "baseline.users", more);
    return {};
  }

  /// cloud-init locks a password unless it is told not to.
  static bool has_locked_password(const Node& user) {
    for (const char* name : {"lock_passwd", "lock-passwd"}) {
      if (const Node* lock = user.find(name)) {
        return is_true(*lock);
      }
    }
    return true;
  }

  /// What of a user a recipe cannot say.
  Result<std::string> user(const Node& item) {
    const Node* name = item.find("name");
    if (name == nullptr || name->kind != Node::Kind::scalar) {
      return document_.error(item, "a user has no 'name'");
    }
    Json user = {{"name", name->text}};
    std::string left_out;
    const bool locked = has_locked_password(item);
    for (std::size_t i = 0; i < item.keys.size(); ++i) {
      const std::string& key = item.keys[i].text;
      const Node& value = item.items[i];
      if (key == "groups" || key == "primary_group") {
        for (const std::string& group : words_of(value)) {
          group == "sudo" || group == "wheel" ? user["sudo"] = true
                                              : (user["groups"].push_back(group), user["groups"]);
        }
      } else if (key == "sudo") {
        user["sudo"] = !(value.kind == Node::Kind::scalar &&
                         (value.text == "false" || value.text == "False" || value.text.empty()));
      } else if (key == "shell") {
        user["shell"] = value.text;
      } else if (key == "ssh_authorized_keys" || key == "ssh-authorized-keys") {
        for (const Node& line : value.items) {
          user["ssh_keys"].push_back(line.text);
        }
      } else if (locked &&
                 (key == "passwd" || key == "hashed_passwd" || key == "plain_text_passwd")) {
        left_out += (left_out.empty() ? "" : ", ") + key + " (lock_passwd is not false)";
      } else if (key == "passwd" || key == "hashed_passwd") {
        if (kickstart::is_strong_hash(value.text)) {
          user["password"] = value.text;
        } else {
          left_out += (left_out.empty() ? "" : ", ") + key + " (a hash of too weak a kind)";
        }
      } else if (key == "plain_text_passwd") {
        user["password"] = kickstart::hashed_password(name->text, value.text);
      } else if (key != "name" && key != "lock_passwd" && key != "lock-passwd" &&
                 key != "inactive") {
        left_out += (left_out.empty() ? "" : ", ") + key;
      }
    }
    place(kickstart::entry_path("baseline.users", users_.size()), item);
    users_.push_back(std::move(user));
    return left_out.empty() ? "" : name->text + ": not taken over: " + left_out;
  }

  Result<void> groups(const Node& key, const Node& value) {
    std::string script;
    for (const Node& item : value.items) {
      const bool has_members = item.kind == Node::Kind::map && !item.keys.empty();
      const std::string name = has_members ? item.keys.front().text : item.text;
      script += "groupadd --force " + system::shell_quoted(name) + "\n";
      for (const std::string& member :
           has_members ? words_of(item.items.front()) : std::vector<std::string>()) {
        script += "gpasswd --add " + system::shell_quoted(member) + " " +
                  system::shell_quoted(name) + "\n";
      }
    }
    add_script(script, false);
    told(key, "provision", "a step with groupadd");
    return {};
  }

  /// As cloud-init of Debian and Ubuntu has it: named after the family, root without a password.
  void add_default_user() {
    users_.push_back({{"name", request_.os.substr(0, request_.os.find('/'))}, {"sudo", true}});
  }

  /// cloud-init gives them to its default user, or the first.
  Result<void> authorized_keys(const Node& key, const Node& value) {
    for (const Node& line : value.items) {
      keys_.push_back(line.text);
    }
    told(key, "baseline.users", "for the first of the users, or the default one");
    return {};
  }

  Result<void> packages(const Node& key, const Node& value) {
    std::string note;
    for (const Node& item : packages_in(value, note)) {
      const bool pinned = item.kind == Node::Kind::list && item.items.size() == 2;
      const std::string name = pinned ? item.items[0].text : item.text;
      if (!kickstart::is_package_name(name)) {
        note += (note.empty() ? "" : ", ") + as_quote(name) + " is no name of a package";
        continue;
      }
      const std::string wanted = name + (pinned ? "=" + item.items[1].text : "");
      if (std::find(packages_.begin(), packages_.end(), wanted) == packages_.end()) {
        place(kickstart::entry_path("packages", packages_.size()), item);
        packages_.push_back(wanted);
      }
    }
    told(key, "packages", note);
    return {};
  }

  /// With those under `apt:`; other package managers have nothing to say in Debian's family.
  static std::vector<Node> packages_in(const Node& value, std::string& note) {
    std::vector<Node> packages;
    for (const Node& item : value.items) {
      for (std::size_t i = 0; i < item.keys.size(); ++i) {
        if (item.keys[i].text == "apt") {
          packages.insert(packages.end(), item.items[i].items.begin(), item.items[i].items.end());
        } else {
          note += (note.empty() ? "" : ", ") + item.keys[i].text + " is not of Debian's family";
        }
      }
      if (item.kind != Node::Kind::map) {
        packages.push_back(item);
      }
    }
    return packages;
  }

  Result<void> write_files(const Node& key, const Node& value) {
    for (const Node& item : value.items) {
      const Node* path = item.find("path");
      if (path == nullptr || path->kind != Node::Kind::scalar) {
        return document_.error(item, "a file of 'write_files' has no 'path'");
      }
    }
    const bool simple = std::all_of(value.items.begin(), value.items.end(), is_simple_file);
    Json files = Json::array();
    for (const Node& item : value.items) {
      files.push_back(simple ? file(item) : cloud_file(item));
    }
    if (!files.empty()) {
      steps_.push_back(simple ? Json{{"files", std::move(files)}}
                              : Json{{"cloud_config", {{"write_files", std::move(files)}}}});
    }
    told(key, "provision");
    return {};
  }

  /// One that a `files` step can write.
  static bool is_simple_file(const Node& item) {
    const Node* content = item.find("content");
    const bool is_text = content == nullptr || content->style != Node::Style::binary;
    constexpr std::array kMore = {"append", "defer", "encoding", "source"};
    return is_text && std::none_of(kMore.begin(), kMore.end(), [&item](const char* more) {
             return item.find(more) != nullptr;
           });
  }

  static Json file(const Node& item) {
    const Node* content = item.find("content");
    Json file = {{"target", item.find("path")->text},
                 {"content", kickstart::without_parameters(content ? content->text : "")}};
    if (const Node* mode = item.find("permissions")) {
      file["mode"] = mode->text;
    }
    if (const Node* owner = item.find("owner")) {
      const std::size_t colon = owner->text.find_first_of(":.");
      file["owner"] = owner->text.substr(0, colon);
      if (colon != std::string::npos) {
        file["group"] = owner->text.substr(colon + 1);
      }
    }
    return file;
  }

  /// As a `cloud_config` step takes it, which judges it.
  static Json cloud_file(const Node& item) {
    Json file = Json::object();
    for (std::size_t i = 0; i < item.keys.size(); ++i) {
      const std::string& key = item.keys[i].text;
      if (key == "append" || key == "defer") {
        file[key] = is_true(item.items[i]);
      } else {
        file[key] = kickstart::without_parameters(item.items[i].text);
      }
    }
    const Node* content = item.find("content");
    if (content != nullptr && content->style == Node::Style::binary) {
      file["encoding"] = file.value("encoding", "").starts_with("gz") ? "gz+b64" : "b64";
    }
    return file;
  }

  /// A list is a command with its words, a text is shell.
  Result<void> commands(const Node& key, const Node& value) {
    std::string script = "#!/bin/sh\n";
    for (const Node& item : value.items) {
      if (item.kind == Node::Kind::scalar) {
        script += item.text + "\n";
        continue;
      }
      std::string line;
      for (const Node& word : item.items) {
        line += (line.empty() ? "" : " ") + system::shell_quoted(word.text);
      }
      script += line + "\n";
    }
    add_script(script, true);
    told(key, "provision", "a step that runs in the image, once, and reaches the network");
    return {};
  }

  void add_script(const std::string& script, bool network) {
    Json step = {{"script", kickstart::without_parameters(script)}};
    if (network) {
      step["network"] = true;
    }
    steps_.push_back({{"shell", std::move(step)}});
  }

  const Document& document_;
  const kickstart::ImportRequest& request_;
  Json recipe_ = Json::object();
  Json baseline_ = Json::object();
  std::vector<Json> users_;
  std::vector<std::string> keys_;
  std::vector<std::string> packages_;
  Json steps_ = Json::array();
  std::vector<ImportRow> rows_;
  kickstart::Places places_;
};

std::string_view first_line(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  return line.substr(0, line.find_last_not_of(" \t\r") + 1);
}

}  // namespace

bool is_cloud_config(std::string_view text) {
  return first_line(text) == "#cloud-config";
}

bool is_template(std::string_view text) {
  std::string_view line = first_line(text);
  if (!line.starts_with("##")) {
    return false;
  }
  line.remove_prefix(2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line.starts_with("template:");
}

Result<void> refuse_template(std::string_view text, const Position& start) {
  return !is_template(text)
             ? Result<void>()
             : error_at(start,
                        "this is a template, which cloud-init fills in on each instance",
                        "write what holds for all of them without {{ }} and without this line, and "
                        "give the rest to the instances: goldmill launch --user-data FILE");
}

Result<kickstart::Import> import_user_data(const kickstart::ImportRequest& request) {
  const std::string text =
      TRY(system::read_plain_file(request.file, kRecipeLimit).context("user-data"));
  TRY(refuse_template(text, {request.file.string(), 1, 1}));
  const Document document = TRY(parse_document(text, request.file.string()));
  return UserData(document, request).run();
}

}  // namespace goldmill::recipe

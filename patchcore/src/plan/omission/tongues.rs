//! What models write instead of code in other tongues than English.

use super::Told;

/// Phrases for code that is there, in lower case.
const THERE: &[&str] = &[
    "其余代码",
    "其他代码",
    "其它代码",
    "其余部分",
    "其他部分",
    "剩余代码",
    "剩余部分",
    "现有代码",
    "原有代码",
    "其餘程式碼",
    "其他程式碼",
    "現有程式碼",
    "既存のコード",
    "残りのコード",
    "その他のコード",
    "기존 코드",
    "나머지 코드",
    "остальной код",
    "остальная часть",
    "остальные методы",
    "существующий код",
    "решта коду",
    "наявний код",
    "resto del código",
    "código existente",
    "código anterior",
    "resto do código",
    "restante do código",
    "reste du code",
    "reste du fichier",
    "code existant",
    "restlicher code",
    "rest des codes",
    "bestehender code",
    "vorhandener code",
    "resto del codice",
    "codice esistente",
    "reszta kodu",
];

/// Phrases that say that nothing changes, or that it is left out.
const STAYS: &[&str] = &[
    "保持不变",
    "代码不变",
    "保持原样",
    "省略",
    "保持不變",
    "変更なし",
    "そのまま",
    "생략",
    "변경 없음",
    "그대로",
    "동일",
    "без изменений",
    "остаётся",
    "остается",
    "опущен",
    "без змін",
    "sin cambios",
    "permanece igual",
    "sigue igual",
    "se mantiene",
    "sem alterações",
    "sem mudanças",
    "inchangé",
    "sans changement",
    "reste identique",
    "unverändert",
    "bleibt gleich",
    "bleibt unverändert",
    "invariato",
    "rimane uguale",
    "bez zmian",
];

/// What a comment says: one that is framed by one of the phrases, any other by both.
pub(super) fn told(inner: &str, is_framed: bool) -> Told {
    // More than a phrase is a sentence.
    if inner.split_whitespace().count() > 8 || inner.chars().count() > 60 {
        return Told::Nothing;
    }
    let lower = inner.to_lowercase();
    let holds = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    let told = match is_framed {
        true => holds(THERE) || holds(STAYS),
        false => holds(THERE) && holds(STAYS),
    };
    match told {
        true => Told::Perhaps,
        false => Told::Nothing,
    }
}
